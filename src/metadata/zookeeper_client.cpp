// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/zookeeper_client.h"

#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "metadata/zookeeper_errors.h"

namespace ukai::zk {

namespace {

/// How long to wait before a new session is tried again, and a read that the server refused.
constexpr Duration renew_pause = std::chrono::seconds(1);
constexpr auto repeat_pause = std::chrono::milliseconds(20);

/// "10 s", "250 ms"
std::string format_time(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

Client::Client(ZooKeeperOptions options, MetadataAddress address, Scheduler& scheduler)
    : options_(std::move(options)),
      address_(std::move(address)),
      scheduler_(scheduler),
      events_(std::make_shared<SerialQueue>(scheduler)) {}

std::string Client::at_server(const std::string& path) const {
  if (path == "/") return address_.chroot.empty() ? "/" : address_.chroot;
  return address_.chroot + path;
}

std::string Client::without_chroot(const std::string& path) const {
  return path.size() > address_.chroot.size() ? path.substr(address_.chroot.size()) : "/";
}

// -- the session

Result<> Client::start() {
  auto session = std::make_unique<Session>(*this);
  Session* opening = session.get();
  {
    std::lock_guard lock(mutex_);
    session_ = std::move(session);
  }
  const auto timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.session_timeout);
  // Without the lock: names are resolved here, and the first event may come before it returns.
  return opening->open(address_.servers, timeout);
}

void Client::shut_down() {
  std::unique_ptr<Session> last;
  {
    std::unique_lock lock(mutex_);
    closing_ = true;
    ready_ = false;
    renewed_.wait(lock, [this] { return !renewing_; });
    last = std::move(session_);
    for (const auto& call : waiting_) {
      answer_locked(*call, to_error(ZCLOSING, without_chroot(call->path), false));
    }
    waiting_.clear();
  }
  last.reset();  // without the lock: its callbacks take it
}

void Client::session_changed(Session& session, SessionEvent event) {
  std::lock_guard lock(mutex_);
  if (closing_ || &session != session_.get()) return;
  switch (event) {
    case SessionEvent::connected:
      connected_locked();
      break;
    case SessionEvent::disconnected:
      disconnected_locked();
      break;
    case SessionEvent::ended:
      ended_locked();
      break;
  }
}

void Client::connected_locked() {
  session_id_ = session_->id();
  session_timeout_ms_ = session_->timeout_ms();
  if (options_.create_chroot && !address_.chroot.empty() && !chroot_checked_) {
    create_chroot_locked();
  } else {
    ready_locked();
  }
}

/// Creates each folder of the chroot, all at once; the last answer tells. What is there already is
/// fine, and what cannot be created will show in the user's own requests.
void Client::create_chroot_locked() {
  const std::string& chroot = address_.chroot;
  const auto ignore = [](const Answer&) {};
  const auto finish = [this, session = session_.get()](const Answer& answer) {
    std::lock_guard lock(mutex_);
    if (closing_ || session != session_.get() || worth_repeating(answer.rc)) return;
    chroot_checked_ = true;
    ready_locked();
  };
  for (std::size_t end = chroot.find('/', 1); end != std::string::npos;
       end = chroot.find('/', end + 1)) {
    session_->create(chroot.substr(0, end), ignore);
  }
  session_->create(chroot, finish);
}

void Client::ready_locked() {
  ready_ = true;
  set_state_locked(SessionState::connected);
  // Watches first: what the calls that follow read is then watched already.
  arm_all_locked();
  send_waiting_locked();
}

void Client::disconnected_locked() {
  ready_ = false;
  if (state_ == SessionState::connected) set_state_locked(SessionState::suspended);
}

void Client::ended_locked() {
  ready_ = false;
  if (std::exchange(renew_queued_, true)) return;
  disarm_all_locked();
  // What was meant under the old session must not happen under the new one.
  std::deque<std::shared_ptr<Call>> kept;
  for (const auto& call : waiting_) {
    if (call->change()) {
      answer_locked(*call, Error{Code::unreachable, "the ZooKeeper session ended before " +
                                                        without_chroot(call->ops.front().path) +
                                                        " was changed"});
    } else {
      kept.push_back(call);
    }
  }
  waiting_ = std::move(kept);
  // A session that ends before it ever was connected would end again at once.
  const bool in_vain = state_ == SessionState::expired;
  set_state_locked(SessionState::expired);
  scheduler_.after(in_vain ? renew_pause : Duration::zero(), [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->renew();
  });
}

void Client::set_state_locked(SessionState state) {
  if (std::exchange(state_, state) == state) return;
  for (const auto& listener : listeners_) {
    events_->post([listener, state] { (*listener)(state); });
  }
}

/// Runs on the scheduler: the C client's own threads must not close their session.
void Client::renew() {
  std::unique_ptr<Session> old;
  {
    std::lock_guard lock(mutex_);
    if (closing_) return;
    renewing_ = true;
    renew_queued_ = false;
    old = std::move(session_);
  }
  old.reset();
  const auto started = start();
  {
    std::lock_guard lock(mutex_);
    renewing_ = false;
    renewed_.notify_all();
  }
  if (!started) {
    log::warn("event=zookeeper_session_failed error=\"{}\"", started.error().what);
    scheduler_.after(renew_pause, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->renew();
    });
  }
}

SessionState Client::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

std::int64_t Client::session_id() const {
  std::lock_guard lock(mutex_);
  return session_id_;
}

std::int64_t Client::session_timeout_ms() const {
  std::lock_guard lock(mutex_);
  return session_timeout_ms_;
}

std::unique_ptr<Coordination::Watch> Client::listen(std::function<void(SessionState)> listener) {
  auto entry = std::make_shared<SessionListener>(std::move(listener));
  {
    std::lock_guard lock(mutex_);
    listeners_.push_back(entry);
  }
  return std::make_unique<WatchToken>([weak = weak_from_this(), entry] {
    if (auto self = weak.lock()) {
      std::lock_guard lock(self->mutex_);
      std::erase(self->listeners_, entry);
    }
    entry->cancel();
  });
}

// -- calls

void Client::submit(const std::shared_ptr<Call>& call) {
  std::lock_guard lock(mutex_);
  if (closing_) {
    answer_locked(*call, to_error(ZCLOSING, without_chroot(call->path), false));
    return;
  }
  call->timer = scheduler_.after(options_.request_timeout, [weak = weak_from_this(), call] {
    if (auto self = weak.lock()) self->timed_out(call);
  });
  if (ready_) {
    send_locked(call);
  } else {
    waiting_.push_back(call);
  }
}

void Client::send_locked(const std::shared_ptr<Call>& call) {
  call->sent = true;
  const int rc = hand_over_locked(call);
  if (rc == ZOK) return;
  call->sent = false;
  if (worth_repeating(rc)) {
    // The session has just ended and we are about to hear of it.
    waiting_.push_back(call);
  } else {
    answer_locked(*call, to_error(rc, without_chroot(call->path), false));
  }
}

int Client::hand_over_locked(const std::shared_ptr<Call>& call) {
  const auto done = [this, call](Answer answer) { answered(call, std::move(answer)); };
  switch (call->kind) {
    case Call::Kind::get:
      return session_->get(call->path, done);
    case Call::Kind::children:
      return session_->children(call->path, done);
    case Call::Kind::commit:
      return session_->commit(call->ops, done);
    case Call::Kind::sync:
      return session_->sync(call->path, done);
  }
  return ZBADARGUMENTS;
}

void Client::send_waiting_locked() {
  auto calls = std::exchange(waiting_, {});
  for (const auto& call : calls) send_locked(call);
}

/// On the completion thread, or in the Session's destructor.
void Client::answered(const std::shared_ptr<Call>& call, Answer answer) {
  std::lock_guard lock(mutex_);
  if (call->answered) return;
  if (!call->change() && !closing_ && (worth_repeating(answer.rc) || answer.rc == ZCLOSING)) {
    repeat_soon_locked(call);
    return;
  }
  if (answer.rc == ZOK) {
    answer_locked(*call, std::move(answer));
    return;
  }
  // A session that is closed to make a new one took the answer with it.
  const bool lost = answer.rc == ZCLOSING && !closing_;
  const std::string& path = call->change() ? call->ops[answer.failed_step].path : call->path;
  answer_locked(*call,
                to_error(lost ? ZCONNECTIONLOSS : answer.rc, without_chroot(path), call->change()));
}

void Client::repeat_soon_locked(const std::shared_ptr<Call>& call) {
  call->sent = false;
  waiting_.push_back(call);
  if (!ready_) return;
  scheduler_.after(repeat_pause, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    std::lock_guard lock(self->mutex_);
    if (self->ready_) self->send_waiting_locked();
  });
}

void Client::timed_out(const std::shared_ptr<Call>& call) {
  std::lock_guard lock(mutex_);
  if (call->answered) return;
  std::erase(waiting_, call);
  const Code code = call->sent && call->change() ? Code::unknown : Code::unreachable;
  const std::string server = "ZooKeeper at " + address_.servers;
  const std::string what = ready_ ? server + " did not answer" : "no connection to " + server;
  answer_locked(*call, Error{code, what + " within " + format_time(options_.request_timeout)});
}

void Client::answer_locked(Call& call, Result<Answer> result) {
  call.answered = true;
  scheduler_.cancel(call.timer);
  scheduler_.post([answer = call.answer, result = std::move(result)]() mutable {
    answer.resolve(std::move(result));
  });
}

}  // namespace ukai::zk
