// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "node/dirty_log_format.h"
#include "node/interval_set.h"
#include "ukai/result.h"
#include "ukai/scheduler.h"

namespace ukai {

/// One block that is being copied to this node while changes to it go on.
///
/// Whatever changes the block holds `mutex`; changes from the holder are added to `covered`, and
/// copied data goes only where nothing is covered. So a change is never undone by older data that
/// was read from the source before.
struct BlockCopy {
  std::mutex mutex;
  IntervalSet covered;  // by mutex
};

/// The copies of one disk that are under way, and the changes of the last seconds.
///
/// The latter because a change may be applied here before a copy begins, and at the copy's source
/// only after the copy has read there. Who asks for a copy says from which sequence on it sends
/// changes to both; of these, the ones still on their way to the source are the newest.
///
/// Threads: safe from any. Never blocks on a device.
class CopyTable {
 public:
  /// Called before each change of the session is applied. The copy under way, if any: the caller
  /// applies the change under its mutex and covers the range. shared_ptr: the copy may end
  /// meanwhile.
  std::shared_ptr<BlockCopy> before_change(LogKey key, Extent range, Sequence sequence,
                                           TimePoint now);
  /// busy: the block is being copied already. `from`: changes of this sequence and later are sent
  /// both here and to the source; 0: none are.
  Result<std::shared_ptr<BlockCopy>> begin(LogKey key, Sequence from);
  void end(LogKey key, const std::shared_ptr<BlockCopy>& copy);
  /// A new session: its copies have nothing to do with those before.
  void reset();

 private:
  struct Change {
    LogKey key;
    Extent range;
    Sequence sequence;
    TimePoint when;
  };
  std::mutex mutex_;
  std::deque<Change> recent_;                            // by mutex_; oldest first
  std::map<LogKey, std::shared_ptr<BlockCopy>> copies_;  // by mutex_
};

}  // namespace ukai
