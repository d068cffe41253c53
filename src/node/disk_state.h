// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/copy_table.h"
#include "node/dirty_log.h"
#include "node/gate.h"
#include "node/read_streams.h"
#include "node/session_record.h"
#include "ukai/geometry.h"
#include "ukai/history.h"
#include "ukai/io.h"

namespace ukai {

/// Block versions whose data and checksums a crash may have torn apart: those that were active when
/// this process first fenced the disk, or when a flush had failed. In these, and only in these,
/// what does not fit its checksum is an unfinished write and no damage. Each stays in the log's
/// active set until its checksums have been made to fit. Threads: safe from any.
class TornVersions {
 public:
  /// The ones that are new here.
  std::vector<LogKey> add(const std::vector<LogSpan>& spans);
  void remove(LogKey key);
  bool contains(LogKey key) const;
  std::optional<LogKey> first() const;
  /// True for one caller at a time, until end_work().
  bool begin_work();
  void end_work();

 private:
  mutable std::mutex mutex_;
  std::set<LogKey> keys_;  // by mutex_
  bool working_ = false;   // by mutex_
};

/// Blocks that have been deleted under the present session: what it sent before is late, and must
/// not bring them back.
struct RetiredBlocks {
  BlockRange blocks;
  Sequence up_to{};
};

/// Blocks that may have versions which nobody needs any more, since a newer one hides them. They go
/// when that one is durable. Threads: safe from any.
class HiddenVersions {
 public:
  void add(BlockIndex block);
  std::vector<BlockIndex> take();

 private:
  std::mutex mutex_;
  std::set<BlockIndex> blocks_;  // by mutex_
};

/// One disk as this node serves it: its session, what it has logged, the copies under way.
///
/// Members marked "by gate" are read while it is held shared, and changed while it is held
/// exclusively: whoever holds it and has checked the session knows that the session stands until
/// he lets go.
struct DiskState {
  DiskState(BlockStore& block_store, DiskId disk, const NodeId& self)
      : id(disk), store(block_store), log(block_store, disk, self.str()) {}

  // -- the caller holds gate
  /// May a frame or call with these be served? Session 0 is a node's or a reader's and stands for
  /// the epoch alone. stale: older than what was seen; not_admitted: newer, or this process has
  /// not been fenced by it, or a flush has failed since.
  Result<> check(Epoch epoch, Session session) const;
  /// invalid: not within the block, or the block not within the disk.
  Result<> check_range(BlockIndex block, std::uint64_t offset_bytes,
                       std::uint64_t length_bytes) const;
  /// invalid: names members that the session does not have.
  Result<> check_mask(std::uint64_t missing_mask) const;
  /// stale: the change was sent before the block was deleted here.
  Result<> check_retired(BlockIndex block, Sequence sequence) const;
  std::string text() const;  ///< for messages

  // -- the caller holds gate exclusively
  /// Reads the session file unless that has been done. corrupt: this disk is not served.
  Result<> load_session();
  /// Reads the log unless that has been done; the disk is open in the store.
  Result<> load_log();
  Result<> save_session(const SessionRecord& changed);

  const DiskId id;
  BlockStore& store;
  Gate gate;

  bool session_loaded = false;  // by gate, as the following
  bool log_loaded = false;
  bool suspected = false;                             // the torn versions of this start are known
  std::optional<std::vector<Generation>> looked_for;  // what was kept when hidden ones were sought
  bool admitted = false;                              // fenced since this process started
  bool deleted = false;
  SessionRecord record;
  std::string name;
  Geometry geometry;
  History history;
  std::vector<Generation> kept;  ///< of its generations, ascending: somebody may read them
  std::size_t members = 0;
  std::vector<RetiredBlocks> retired;

  std::atomic<bool> stopped{false};                ///< a flush has failed; until the next fence
  std::atomic<std::uint64_t> generation{0};        ///< largest that was seen
  std::atomic<std::uint64_t> last_sequence{0};     ///< largest of the session
  std::atomic<std::int64_t> complain_again_ns{0};  ///< of the scheduler's time
  DirtyLog log;
  TornVersions torn;
  HiddenVersions hidden;
  CopyTable copies;
  ReadStreams streams;
};

/// Raises `value` to at least `seen`.
void raise_to(std::atomic<std::uint64_t>& value, std::uint64_t seen);

}  // namespace ukai
