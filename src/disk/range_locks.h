// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "ukai/scheduler.h"
#include "ukai/task.h"
#include "ukai/types.h"

namespace ukai {

/// Orders overlapping accesses to one disk (rule 5): writes to a byte exclude each other and reads;
/// everything else passes freely. Overlapping requests are served in the order of arrival.
///
/// Threads: safe from any. A waiter resumes on the thread that made way for it.
class RangeLocks {
 public:
  enum class Mode { shared, exclusive };

  explicit RangeLocks(Scheduler& scheduler) : scheduler_(scheduler) {}

 private:
  struct Entry {
    ByteRange range;
    Mode mode;
    bool is_drain = false;
    std::optional<OneShot<bool>> granted;  ///< of one that has to wait
    Scheduler::TimerId timer{};
    bool timed = false;
  };
  using Entries = std::list<std::shared_ptr<Entry>>;

 public:
  /// Holds a range until destroyed.
  class Guard {
   public:
    Guard() = default;
    Guard(RangeLocks* locks, Entries::iterator held) : locks_(locks), held_(held) {}
    Guard(Guard&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), held_(other.held_) {}
    Guard& operator=(Guard&& other) noexcept {
      std::swap(locks_, other.locks_);
      std::swap(held_, other.held_);
      return *this;
    }
    ~Guard() {
      if (locks_) locks_->release(held_);
    }
    /// False: nothing is held; the range was not free, or the wait was given up at its deadline.
    bool holds() const { return locks_ != nullptr; }

   private:
    RangeLocks* locks_ = nullptr;
    Entries::iterator held_;
  };

  /// The range if it is free now and nobody waits for it.
  Guard acquire_now(ByteRange range, Mode mode);
  /// Waits until the range is free, at most for `patience`.
  Task<Guard> acquire(ByteRange range, Mode mode, Duration patience);
  /// Waits until every exclusive lock on `range` that is held or waited for now has been released,
  /// or (`of` exclusive) every lock; holds nothing and holds up nobody.
  Task<void> drain(ByteRange range, Mode of = Mode::shared);

 private:
  static bool conflict(const Entry& a, const Entry& b) {
    return a.range.overlaps(b.range) && (a.mode == Mode::exclusive || b.mode == Mode::exclusive);
  }
  bool blocked(const Entry& entry, Entries::iterator end) const;
  void release(Entries::iterator held);
  void give_up(const std::shared_ptr<Entry>& entry);
  std::list<std::shared_ptr<Entry>> take_ready();

  Scheduler& scheduler_;
  std::mutex mutex_;
  Entries held_;     // by mutex_
  Entries waiting_;  // by mutex_; in order of arrival
};

}  // namespace ukai
