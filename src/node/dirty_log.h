// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/dirty_log_format.h"
#include "ukai/block_store.h"

namespace ukai {

/// The place of a change in the holders' order of writes.
struct Touch {
  Epoch epoch{};
  Sequence sequence{};
  auto operator<=>(const Touch&) const = default;
};

/// Who a disk's members are, and which of them are missing; bit i stands for names[i].
struct MemberView {
  std::vector<std::string> names;
  std::uint64_t missing_mask = 0;
};

/// What one node's disk has to remember of changed blocks (protocol.md, "What a node logs"): two
/// durable sets of block versions,
///   active     may differ between the replicas, or be unflushed here;
///   missed[m]  member m lacks a change.
///
/// Invariant: when touch() has returned, the version is durably in active, and in missed[m] for
/// each member m that was named as missing, by the change itself or by the newest view of the
/// members. Entries may be too many after a failure or a crash, never too few.
///
/// On the medium the sets are the file "dirty.log": batches of changes, and now and then the whole
/// content anew. Several threads' first touches share one append.
///
/// Errors: those of the store; after one, the next call that needs the medium writes the whole file
/// anew. Threads: safe from any. Calls may block on the device, except where said otherwise.
class DirtyLog {
 public:
  /// `self`: what the members lack is never logged for this node itself.
  DirtyLog(BlockStore& store, DiskId disk, std::string self)
      : store_(store), disk_(disk), self_(std::move(self)) {}

  /// Reads the file; once, before anything else. corrupt: damaged before its end.
  Result<> load();

  // -- members
  /// A new session: every active version becomes missed by each missing member, the missed sets of
  /// all others are dropped. Durable on return.
  Result<> start_session(const MemberView& members);
  /// The same without dropping, in the course of a session.
  Result<> set_missing(const MemberView& members);
  /// The machine lost data: what was touched so far goes only with "earlier epochs" from now on.
  void forget_touches();

  // -- before a change
  /// True when the version is logged as it must be; has noted the touch then. Never blocks.
  bool touch_if_logged(LogKey key, std::uint64_t missing_mask, Touch touch);
  /// Logs the version if need be, durably.
  Result<> touch(LogKey key, std::uint64_t missing_mask, Touch touch);
  /// Keeps the version active, whatever clean() says, until release() and a whole flush after it:
  /// a copy's changes carry no sequence.
  void hold(LogKey key);
  void release(LogKey key);
  /// Brackets a flush of the disk.
  std::uint64_t flush_begins();
  void flush_succeeded(std::uint64_t flush);

  // -- afterwards
  struct Cleaning {
    Epoch epoch{};
    Sequence through{};
    bool earlier_epochs = false;
    std::vector<std::string> healed;
  };
  /// Removes versions last touched as `cleaning` says from active, and from the missed sets of the
  /// healed members. Durable on return.
  Result<> clean(const Cleaning& cleaning);

  // -- never block
  std::vector<LogSpan> active() const;
  bool is_active(LogKey key) const;
  std::vector<LogSpan> missed_by(const std::string& member) const;
  /// Members that lack something.
  std::vector<std::string> accused() const;
  struct Counts {
    std::uint64_t active = 0;
    std::uint64_t missed = 0;  ///< versions that some member lacks
  };
  Counts counts() const;

 private:
  struct Entry {
    bool active = false;
    std::uint64_t missed = 0;  // bit i: members_[i]
    Touch touch;               // {0, 0}: before this process
    std::uint64_t change = 0;  // number of the newest change that set a bit
  };
  struct Hash {
    std::size_t operator()(const LogKey& key) const {
      return (raw(key.block) * 31 + raw(key.generation)) * 0x9e3779b97f4a7c15ULL >> 7;
    }
  };

  std::uint64_t needed(std::uint64_t missing_mask) const;
  void set_members(const MemberView& members, bool drop_others);
  /// False: a record that no node writes.
  bool apply(const LogRecord& record);
  std::uint64_t bit_of(const std::string& member);
  void note(LogRecord::Kind kind, const std::vector<LogKey>& keys, const std::string& member);
  void note_missed(LogKey key, std::uint64_t bits);
  bool held(LogKey key);
  Result<> make_durable(std::unique_lock<std::mutex>& lock, std::uint64_t change);
  void write_pending(std::unique_lock<std::mutex>& lock);
  std::string whole_file() const;
  bool too_large() const;

  BlockStore& store_;
  const DiskId disk_;
  const std::string self_;

  mutable std::mutex mutex_;
  std::condition_variable written_;
  // everything below by mutex_
  std::unordered_map<LogKey, Entry, Hash> entries_;
  std::uint64_t active_count_ = 0;
  std::vector<std::string> members_;
  std::uint64_t missing_ = 0;  // of members_; this node is never in it
  std::uint64_t self_bit_ = 0;

  struct Hold {
    int copies = 0;           // under way
    std::uint64_t flush = 0;  // newest that had begun when the last of them ended
  };
  std::map<LogKey, Hold> held_;
  std::uint64_t flushes_begun_ = 0;
  std::uint64_t flushed_ = 0;

  // Changes are numbered; each is durable, failed, on its way, or in pending_.
  std::uint64_t last_change_ = 0;
  std::uint64_t durable_ = 0;  // changes up to here are on the medium
  std::uint64_t failed_ = 0;   // changes in (durable_, failed_] met an error
  Error failure_{Code::io, ""};
  std::string pending_;  // records of the changes that nobody writes yet
  bool writing_ = false;
  std::uint64_t rewrite_for_ = 0;  // the change that wants the file written whole; 0: none
  std::uint64_t batches_ = 0;      // in the file
  std::uint64_t file_bytes_ = 0;
};

}  // namespace ukai
