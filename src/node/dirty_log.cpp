// SPDX-License-Identifier: BSD-2-Clause
#include "node/dirty_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr const char* file_name = "dirty.log";
/// Below this the file is not worth writing anew.
constexpr std::uint64_t compact_bytes_min = 256U << 10;
constexpr std::uint64_t compact_factor = 4;
constexpr std::uint64_t entry_bytes = 34;  // of a record that spans one version

LogSpan span_of(LogKey key) { return {key.block, next(key.block), key.generation}; }

}  // namespace

// -- loading

std::uint64_t DirtyLog::bit_of(const std::string& member) {
  auto at = std::find(members_.begin(), members_.end(), member);
  if (at == members_.end()) {
    if (members_.size() == limits::disk_nodes_max) return 0;
    at = members_.insert(members_.end(), member);
  }
  return std::uint64_t{1} << (at - members_.begin());
}

bool DirtyLog::apply(const LogRecord& record) {
  using Kind = LogRecord::Kind;
  if (raw(record.span.end) > limits::disk_size_bytes_max / limits::block_size_bytes_min)
    return false;
  const bool missed = record.kind == Kind::set_missed || record.kind == Kind::clear_missed;
  const std::uint64_t bit = missed ? bit_of(record.member) : 0;
  if (missed && bit == 0) return false;
  for (BlockIndex block = record.span.begin; block < record.span.end; block = next(block)) {
    const LogKey key{block, record.span.generation};
    const bool sets = record.kind == Kind::set_active || record.kind == Kind::set_missed;
    if (!sets && !entries_.contains(key)) continue;
    Entry& entry = entries_[key];
    if (record.kind == Kind::set_active) entry.active = true;
    if (record.kind == Kind::clear_active) entry.active = false;
    if (record.kind == Kind::set_missed) entry.missed |= bit;
    if (record.kind == Kind::clear_missed) entry.missed &= ~bit;
    if (!entry.active && entry.missed == 0) entries_.erase(key);
  }
  return true;
}

Result<> DirtyLog::load() {
  auto content = store_.load_file(disk_, file_name);
  if (!content.ok()) return content.error();
  const std::lock_guard lock(mutex_);
  entries_.clear();
  members_.clear();
  batches_ = 0;
  file_bytes_ = 0;
  active_count_ = 0;
  rewrite_for_ = ++last_change_;  // nothing may follow a torn tail, or come before the header
  if (!content->has_value()) return {};
  bool absurd = false;
  auto decoded = dirty_log_format::decode(
      **content, [&](const LogRecord& record) { absurd = absurd || !apply(record); });
  if (decoded.ok() && absurd)
    decoded = Error{Code::corrupt, "names blocks or members that no disk can have"};
  if (!decoded.ok())
    return Error{decoded.code(), fmt::format("disk {}: {}: {}", disk_.to_string(), file_name,
                                             decoded.error().what)};
  batches_ = decoded->batches;
  file_bytes_ = (*content)->size();
  if (!decoded->torn) {
    rewrite_for_ = 0;
    durable_ = last_change_;
  }
  for (const auto& [key, entry] : entries_) active_count_ += entry.active ? 1 : 0;
  return {};
}

// -- members

std::uint64_t DirtyLog::needed(std::uint64_t missing_mask) const {
  return (missing_mask | missing_) & ~self_bit_;
}

void DirtyLog::set_members(const MemberView& members, bool drop_others) {
  std::vector<std::uint64_t> moved(members_.size(), 0);  // old index -> new bit
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto at = std::find(members.names.begin(), members.names.end(), members_[i]);
    if (at != members.names.end()) moved[i] = std::uint64_t{1} << (at - members.names.begin());
  }
  const auto self = std::find(members.names.begin(), members.names.end(), self_);
  self_bit_ = self == members.names.end() ? 0 : std::uint64_t{1} << (self - members.names.begin());
  members_ = members.names;
  missing_ = members.missing_mask & ~self_bit_;

  bool changed = false;
  ++last_change_;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    std::uint64_t missed = 0;
    for (std::size_t i = 0; i < moved.size(); ++i)
      if ((entry.missed >> i) & 1) missed |= moved[i];
    const std::uint64_t before = missed;
    if (drop_others) missed &= missing_;
    if (entry.active) missed |= missing_;
    if (missed != before) entry.change = last_change_;
    changed = changed || missed != before;
    entry.missed = missed;
    at = entry.active || missed != 0 ? std::next(at) : entries_.erase(at);
  }
  // A bit that only moved is no change: the file has names.
  if (changed) rewrite_for_ = last_change_;
}

Result<> DirtyLog::start_session(const MemberView& members) {
  std::unique_lock lock(mutex_);
  set_members(members, true);
  return make_durable(lock, last_change_);
}

Result<> DirtyLog::set_missing(const MemberView& members) {
  std::unique_lock lock(mutex_);
  set_members(members, false);
  return make_durable(lock, last_change_);
}

void DirtyLog::forget_touches() {
  const std::lock_guard lock(mutex_);
  for (auto& [key, entry] : entries_) entry.touch = Touch{};
}

// -- touching

bool DirtyLog::touch_if_logged(LogKey key, std::uint64_t missing_mask, Touch touch) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return false;
  Entry& entry = at->second;
  if (!entry.active || (needed(missing_mask) & ~entry.missed) != 0 || entry.change > durable_)
    return false;
  entry.touch = std::max(entry.touch, touch);
  return true;
}

void DirtyLog::note_missed(LogKey key, std::uint64_t bits) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (((bits >> i) & 1) == 0) continue;
    dirty_log_format::append_record(pending_,
                                    {LogRecord::Kind::set_missed, span_of(key), members_[i]});
  }
}

Result<> DirtyLog::touch(LogKey key, std::uint64_t missing_mask, Touch touch) {
  std::unique_lock lock(mutex_);
  Entry& entry = entries_[key];
  entry.touch = std::max(entry.touch, touch);
  const std::uint64_t lacking = needed(missing_mask) & ~entry.missed;
  if (!entry.active || lacking != 0) {
    entry.change = ++last_change_;
    if (!entry.active) {
      dirty_log_format::append_record(pending_, {LogRecord::Kind::set_active, span_of(key), {}});
      ++active_count_;
    }
    note_missed(key, lacking);
    entry.active = true;
    entry.missed |= lacking;
  } else if (entry.change > durable_ && entry.change <= failed_) {
    entry.change = ++last_change_;  // its record was lost with a failed append: the rewrite has it
  }
  return make_durable(lock, entry.change);
}

void DirtyLog::hold(LogKey key) {
  const std::lock_guard lock(mutex_);
  ++held_[key].copies;
}

void DirtyLog::release(LogKey key) {
  const std::lock_guard lock(mutex_);
  Hold& hold = held_[key];
  --hold.copies;
  hold.flush = flushes_begun_;  // those may have begun before the last change
}

std::uint64_t DirtyLog::flush_begins() {
  const std::lock_guard lock(mutex_);
  return ++flushes_begun_;
}

void DirtyLog::flush_succeeded(std::uint64_t flush) {
  const std::lock_guard lock(mutex_);
  flushed_ = std::max(flushed_, flush);
}

bool DirtyLog::held(LogKey key) {
  const auto at = held_.find(key);
  if (at == held_.end()) return false;
  if (at->second.copies > 0 || flushed_ <= at->second.flush) return true;
  held_.erase(at);
  return false;
}

// -- cleaning

void DirtyLog::note(LogRecord::Kind kind, const std::vector<LogKey>& keys,
                    const std::string& member) {
  for (const LogSpan& span : to_spans(keys))
    dirty_log_format::append_record(pending_, {kind, span, member});
}

Result<> DirtyLog::clean(const Cleaning& cleaning) {
  std::unique_lock lock(mutex_);
  std::uint64_t healed = 0;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto& names = cleaning.healed;
    if (std::find(names.begin(), names.end(), members_[i]) != names.end())
      healed |= std::uint64_t{1} << i;
  }
  std::vector<LogKey> inactive;
  std::vector<std::vector<LogKey>> found(members_.size());
  for (auto at = entries_.begin(); at != entries_.end();) {
    const LogKey key = at->first;
    Entry& entry = at->second;
    const bool due = entry.touch.epoch == cleaning.epoch
                         ? entry.touch.sequence <= cleaning.through
                         : entry.touch.epoch < cleaning.epoch && cleaning.earlier_epochs;
    if (due && entry.active && !held(key)) {
      entry.active = false;
      --active_count_;
      inactive.push_back(key);
    }
    if (due && (entry.missed & healed) != 0) {
      for (std::size_t i = 0; i < members_.size(); ++i)
        if ((entry.missed & healed) >> i & 1) found[i].push_back(key);
      entry.missed &= ~healed;
    }
    at = entry.active || entry.missed != 0 ? std::next(at) : entries_.erase(at);
  }
  note(LogRecord::Kind::clear_active, inactive, {});
  for (std::size_t i = 0; i < members_.size(); ++i)
    note(LogRecord::Kind::clear_missed, found[i], members_[i]);
  if (pending_.empty()) return {};
  return make_durable(lock, ++last_change_);
}

// -- the medium

Result<> DirtyLog::make_durable(std::unique_lock<std::mutex>& lock, std::uint64_t change) {
  while (durable_ < change) {
    if (failed_ >= change) return failure_;
    if (writing_)
      written_.wait(lock);
    else
      write_pending(lock);
  }
  return {};
}

/// Writes everything up to the newest change, for all threads that wait by now.
void DirtyLog::write_pending(std::unique_lock<std::mutex>& lock) {
  const std::uint64_t through = last_change_;
  const std::uint64_t wanted = rewrite_for_;
  const std::string body = std::exchange(pending_, {});
  const bool rewrite = wanted != 0 || too_large();
  if (!rewrite && body.empty()) {
    durable_ = through;
    return;
  }
  const std::string bytes = rewrite ? whole_file() : dirty_log_format::batch(batches_ + 1, body);
  writing_ = true;
  lock.unlock();
  auto done = rewrite ? store_.replace_file(disk_, file_name, bytes)
                      : store_.append_file(disk_, file_name, bytes);
  lock.lock();
  writing_ = false;
  if (done.ok()) {
    durable_ = through;
    batches_ = rewrite ? 1 : batches_ + 1;
    file_bytes_ = rewrite ? bytes.size() : file_bytes_ + bytes.size();
    if (rewrite && rewrite_for_ == wanted) rewrite_for_ = 0;
  } else {
    failed_ = through;
    failure_ = done.error();
    rewrite_for_ = through;  // the file may end in a part of these bytes
  }
  written_.notify_all();
}

std::string DirtyLog::whole_file() const {
  std::vector<LogKey> active;
  std::vector<std::vector<LogKey>> missed(members_.size());
  for (const auto& [key, entry] : entries_) {
    if (entry.active) active.push_back(key);
    for (std::size_t i = 0; i < members_.size(); ++i)
      if ((entry.missed >> i) & 1) missed[i].push_back(key);
  }
  std::string body;
  for (const LogSpan& span : to_spans(std::move(active)))
    dirty_log_format::append_record(body, {LogRecord::Kind::set_active, span, {}});
  for (std::size_t i = 0; i < members_.size(); ++i)
    for (const LogSpan& span : to_spans(std::move(missed[i])))
      dirty_log_format::append_record(body, {LogRecord::Kind::set_missed, span, members_[i]});
  return dirty_log_format::header() + dirty_log_format::batch(1, body);
}

bool DirtyLog::too_large() const {
  return file_bytes_ > compact_bytes_min &&
         file_bytes_ > compact_factor * entry_bytes * entries_.size();
}

// -- looking

std::vector<LogSpan> DirtyLog::active() const {
  const std::lock_guard lock(mutex_);
  std::vector<LogKey> keys;
  for (const auto& [key, entry] : entries_)
    if (entry.active) keys.push_back(key);
  return to_spans(std::move(keys));
}

std::vector<std::string> DirtyLog::accused() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bits = 0;
  for (const auto& [key, entry] : entries_) bits |= entry.missed;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < members_.size(); ++i)
    if (bits >> i & 1) out.push_back(members_[i]);
  return out;
}

bool DirtyLog::is_active(LogKey key) const {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  return at != entries_.end() && at->second.active;
}

std::vector<LogSpan> DirtyLog::missed_by(const std::string& member) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::find(members_.begin(), members_.end(), member);
  if (at == members_.end()) return {};
  const std::uint64_t bit = std::uint64_t{1} << (at - members_.begin());
  std::vector<LogKey> keys;
  for (const auto& [key, entry] : entries_)
    if (entry.missed & bit) keys.push_back(key);
  return to_spans(std::move(keys));
}

DirtyLog::Counts DirtyLog::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts;
  counts.active = active_count_;
  for (const auto& [key, entry] : entries_) counts.missed += entry.missed != 0 ? 1 : 0;
  return counts;
}

}  // namespace ukai
