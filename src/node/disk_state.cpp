// SPDX-License-Identifier: BSD-2-Clause
#include "node/disk_state.h"

#include <fmt/format.h>

#include <utility>

#include "base/mutation.h"

namespace ukai {
namespace {

constexpr const char* session_file = "session";

}  // namespace

void raise_to(std::atomic<std::uint64_t>& value, std::uint64_t seen) {
  std::uint64_t now = value.load(std::memory_order_relaxed);
  while (now < seen && !value.compare_exchange_weak(now, seen)) {
  }
}

std::vector<LogKey> TornVersions::add(const std::vector<LogSpan>& spans) {
  const std::lock_guard lock(mutex_);
  std::vector<LogKey> added;
  for (const LogSpan& span : spans) {
    for (std::uint64_t block = raw(span.begin); block < raw(span.end); ++block) {
      const LogKey key{BlockIndex{block}, span.generation};
      if (keys_.insert(key).second) added.push_back(key);
    }
  }
  return added;
}

void TornVersions::remove(LogKey key) {
  const std::lock_guard lock(mutex_);
  keys_.erase(key);
}

bool TornVersions::contains(LogKey key) const {
  const std::lock_guard lock(mutex_);
  return keys_.contains(key);
}

std::optional<LogKey> TornVersions::first() const {
  const std::lock_guard lock(mutex_);
  if (keys_.empty()) return std::nullopt;
  return *keys_.begin();
}

bool TornVersions::begin_work() {
  const std::lock_guard lock(mutex_);
  if (working_ || keys_.empty()) return false;
  working_ = true;
  return true;
}

void TornVersions::end_work() {
  const std::lock_guard lock(mutex_);
  working_ = false;
}

void HiddenVersions::add(BlockIndex block) {
  const std::lock_guard lock(mutex_);
  blocks_.insert(block);
}

std::vector<BlockIndex> HiddenVersions::take() {
  const std::lock_guard lock(mutex_);
  const std::set<BlockIndex> taken = std::exchange(blocks_, {});
  return {taken.begin(), taken.end()};
}

Result<> DiskState::check_retired(BlockIndex block, Sequence sequence) const {
  for (const RetiredBlocks& gone : retired) {
    if (!gone.blocks.contains(block) || sequence > gone.up_to) continue;
    return Error{Code::stale,
                 fmt::format("{}: block {} has been deleted here", text(), raw(block))};
  }
  return {};
}

std::string DiskState::text() const { return "disk " + (name.empty() ? id.to_string() : name); }

Result<> DiskState::check(Epoch epoch, Session session) const {
  if (deleted) return Error{Code::not_admitted, text() + " has been deleted here"};
  const bool exact_session = session != Session{0};
  const bool older =
      epoch < record.epoch || (exact_session && epoch == record.epoch && session < record.session);
  if (older && !mutated(Mutation::serves_old_sessions))
    return Error{
        Code::stale,
        fmt::format("{}: epoch {} session {} is over, this node has seen {} session {}", text(),
                    raw(epoch), raw(session), raw(record.epoch), raw(record.session))};
  const bool newer = epoch > record.epoch || (exact_session && session > record.session);
  if (newer || !admitted)
    return Error{Code::not_admitted,
                 fmt::format("{}: this node has not been fenced with epoch {} session {}", text(),
                             raw(epoch), raw(session))};
  if (stopped.load())
    return Error{Code::not_admitted, text() + ": a flush failed here, it must be fenced again"};
  return {};
}

Result<> DiskState::check_range(BlockIndex block, std::uint64_t offset_bytes,
                                std::uint64_t length_bytes) const {
  if (raw(block) >= geometry.block_count())
    return Error{Code::invalid, fmt::format("{}: block {} is beyond its {} blocks", text(),
                                            raw(block), geometry.block_count())};
  if (length_bytes == 0) return Error{Code::invalid, text() + ": the range is empty"};
  if (offset_bytes > geometry.block_size_bytes ||
      length_bytes > geometry.block_size_bytes - offset_bytes)
    return Error{Code::invalid,
                 fmt::format("{}: {} bytes at {} are beyond the block of {} bytes", text(),
                             length_bytes, offset_bytes, geometry.block_size_bytes)};
  return {};
}

Result<> DiskState::check_mask(std::uint64_t missing_mask) const {
  if (members < 64 && (missing_mask >> members) != 0)
    return Error{Code::invalid, fmt::format("{}: missing mask {:#x} names more than its {} members",
                                            text(), missing_mask, members)};
  return {};
}

Result<> DiskState::load_session() {
  if (session_loaded) return {};
  auto content = store.load_file(id, session_file);
  if (!content.ok() && content.code() != Code::not_found) return content.error();
  if (content.ok() && content->has_value()) {
    auto loaded =
        SessionRecord::decode(**content, fmt::format("disk {}: {}", id.to_string(), session_file));
    if (!loaded.ok()) return loaded.error();
    record = *loaded;
    generation.store(raw(record.generation));
  }
  session_loaded = true;
  return {};
}

Result<> DiskState::load_log() {
  if (log_loaded) return {};
  auto loaded = log.load();
  log_loaded = loaded.ok();
  return loaded;
}

Result<> DiskState::save_session(const SessionRecord& changed) {
  record = changed;  // also when it fails: it may be on the medium all the same
  return store.replace_file(id, session_file, changed.encode());
}

}  // namespace ukai
