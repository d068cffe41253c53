// SPDX-License-Identifier: BSD-2-Clause
//
// The watches of zk::Client. The server's watches fire once; each is armed again before those who
// wait for it are told, so that what they read then is watched.
#include <zookeeper/zookeeper.h>

#include <algorithm>

#include "metadata/zookeeper_client.h"

namespace ukai::zk {

std::unique_ptr<Coordination::Watch> Client::watch(const std::string& path, bool children,
                                                   std::function<void()> changed) {
  auto watcher = std::make_shared<Watcher>(std::move(changed));
  {
    std::lock_guard lock(mutex_);
    // Existence first: it tells when a path whose children cannot be watched yet is created.
    WatchEntry& existence = entry_locked(path, WatchKind::existence);
    existence.watchers.push_back(watcher);
    arm_locked(existence);
    if (children) {
      WatchEntry& below = entry_locked(path, WatchKind::children);
      below.watchers.push_back(watcher);
      arm_locked(below);
    }
  }
  return std::make_unique<WatchToken>([weak = weak_from_this(), path, children, watcher] {
    if (auto self = weak.lock()) self->forget(path, children, watcher);
    watcher->cancel();
  });
}

void Client::forget(const std::string& path, bool children,
                    const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mutex_);
  const auto leave = [&](WatchKind kind) {
    auto found = watch_ids_.find({path, kind});
    if (found == watch_ids_.end()) return;
    WatchEntry& entry = watches_.at(found->second);
    std::erase(entry.watchers, watcher);
    if (!entry.watchers.empty() || entry.armed) return;
    watches_.erase(found->second);
    watch_ids_.erase(found);
  };
  leave(WatchKind::existence);
  if (children) leave(WatchKind::children);
}

Client::WatchEntry& Client::entry_locked(const std::string& path, WatchKind kind) {
  auto [found, added] = watch_ids_.try_emplace({path, kind}, next_watch_);
  if (!added) return watches_.at(found->second);
  WatchEntry& entry = watches_[next_watch_];
  entry.id = next_watch_++;
  entry.path = path;
  entry.kind = kind;
  return entry;
}

void Client::arm_locked(WatchEntry& entry) {
  if (!ready_ || entry.armed) return;
  entry.armed = true;
  const auto done = [this, session = session_.get(), id = entry.id](const Answer& answer) {
    armed(session, id, answer.rc);
  };
  const int rc = entry.kind == WatchKind::existence
                     ? session_->watch_existence(at_server(entry.path), entry.id, done)
                     : session_->watch_children(at_server(entry.path), entry.id, done);
  if (rc != ZOK) entry.armed = false;
}

/// The answer to arm_locked(). A failure is made good by the next connection or, when a path whose
/// children are wanted does not exist, by the existence watch beside it.
void Client::armed(const Session* session, std::uint64_t watch, int rc) {
  std::lock_guard lock(mutex_);
  auto found = watches_.find(watch);
  if (closing_ || session != session_.get() || found == watches_.end()) return;
  WatchEntry& entry = found->second;
  const bool existence = entry.kind == WatchKind::existence;
  if (rc != ZOK && !(rc == ZNONODE && existence)) entry.armed = false;
  // It was created between the two requests: no event will tell.
  if (rc == ZOK && existence) arm_children_locked(entry.path);
}

/// The children of `path`, which exists, are watched again if somebody wants that.
void Client::arm_children_locked(const std::string& path) {
  auto found = watch_ids_.find({path, WatchKind::children});
  if (found == watch_ids_.end()) return;
  WatchEntry& entry = watches_.at(found->second);
  if (entry.armed) return;
  arm_locked(entry);
  notify_locked(entry);
}

void Client::watch_fired(Session& session, std::uint64_t watch) {
  std::lock_guard lock(mutex_);
  auto found = watches_.find(watch);
  if (closing_ || &session != session_.get() || found == watches_.end()) return;
  WatchEntry& entry = found->second;
  entry.armed = false;
  if (entry.watchers.empty()) {
    watch_ids_.erase({entry.path, entry.kind});
    watches_.erase(found);
    return;
  }
  // The requests that the watchers make reach the server after this one.
  arm_locked(entry);
  notify_locked(entry);
  if (entry.kind == WatchKind::existence) arm_children_locked(entry.path);
}

/// After each new connection: what changed in between is not known, so everybody is told.
void Client::arm_all_locked() {
  for (WatchKind kind : {WatchKind::existence, WatchKind::children}) {
    for (auto& [id, entry] : watches_) {
      if (entry.kind != kind || entry.watchers.empty()) continue;
      arm_locked(entry);
      notify_locked(entry);
    }
  }
}

/// The session is gone, and its watches with it.
void Client::disarm_all_locked() {
  for (auto& [id, entry] : watches_) entry.armed = false;
  std::erase_if(watch_ids_, [this](const auto& key_and_id) {
    return watches_.at(key_and_id.second).watchers.empty();
  });
  std::erase_if(watches_,
                [](const auto& id_and_entry) { return id_and_entry.second.watchers.empty(); });
}

void Client::notify_locked(const WatchEntry& entry) {
  for (const auto& watcher : entry.watchers) Watcher::notify(watcher, *events_);
}

}  // namespace ukai::zk
