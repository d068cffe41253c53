// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>

#include "node/disk_state.h"
#include "ukai/storage_node.h"

namespace ukai {

/// What is behind a StorageNode: the functions of its header, one file for each kind of work
/// (data_path, fencing, upkeep, copying). Outlives it as long as copies are under way, which end at
/// their next step.
class NodeCore : public std::enable_shared_from_this<NodeCore> {
 public:
  NodeCore(BlockStore& store, Scheduler& scheduler, StorageNodeOptions options);

  // data_path.cpp
  std::optional<IoReply> handle(const IoRequest& request, bool inline_only);

  // fencing.cpp
  Result<pb::FenceReply> fence(const pb::FenceRequest& request);
  Result<pb::SetMissingReply> set_missing(const pb::SetMissingRequest& request);

  // upkeep.cpp
  Result<pb::DirtyListReply> dirty_list(const pb::DirtyListRequest& request);
  Result<pb::CleanReply> clean(const pb::CleanRequest& request);
  Result<pb::HashReply> hash(const pb::HashRequest& request);
  Result<pb::DiskUsageReply> disk_usage(const pb::DiskUsageRequest& request);
  pb::HealthReply health();

  // held.cpp
  Result<pb::HeldReply> held(const pb::HeldRequest& request);
  Result<> delete_disk(DiskId id);
  Result<> delete_blocks(const pb::TrashRecord& order);
  std::vector<DiskId> left_disks();
  Result<> delete_left(DiskId id);

  // torn.cpp
  /// As the store's read. What does not fit in a version that a crash may have torn is accepted.
  Result<std::optional<Payload>> load(DiskState& disk, BlockKey key, Extent range,
                                      bool ready_only = false);

  // versions.cpp: the caller holds the gate
  /// The version in which the content that a generation sees stands: the key itself if there is
  /// none. nullopt: `ready_only`, and only the device could tell.
  Result<std::optional<BlockKey>> version_of(const DiskState& disk, BlockKey key,
                                             bool ready_only = false);
  /// Changes what the key's generation sees, and no other, which may take a new version.
  Result<> put(DiskState& disk, BlockKey key, std::uint32_t offset_bytes, const Payload& data);
  Result<> put_zeros(DiskState& disk, BlockKey key, Extent range, bool there = false);
  Result<> make_own(DiskState& disk, BlockKey key, bool there);
  Result<> give_up(DiskState& disk, BlockKey key, Extent range);
  /// False: the next change of the block takes a new version, or only the device could tell.
  bool changes_in_place(const DiskState& disk, BlockKey key);
  // -- the caller does not
  Result<pb::CloneReply> clone(const pb::CloneRequest& request);
  Result<> delete_versions(const pb::TrashRecord& order);

  // scrub.cpp
  std::uint64_t scrub_step();

  /// Ends copies at their next step; returns when none is inside a step.
  void close();
  bool closed() const { return closed_.load(); }
  /// One more copy to this node; false: there are as many as it takes at a time. Whoever has begun
  /// one ends it.
  bool begin_copy();
  /// Before that: each who waits keeps a thread of the control server. false: enough do.
  bool line_up_for_copy();
  void leave_copy_line() { copies_lined_up_.fetch_sub(1); }
  void end_copy() { copies_.fetch_sub(1); }

  // -- for copies
  using DiskRef = std::shared_ptr<DiskState>;  // shared: requests in flight outlive a deletion
  /// The disk that `ref` names, its gate held shared and the session checked.
  struct Admitted {
    DiskRef disk;
    std::shared_lock<Gate> pass;
  };
  Result<Admitted> admit(const pb::SessionRef& ref);
  BlockStore& store() { return store_; }
  Scheduler& scheduler() { return scheduler_; }
  Scheduler& background() { return options_.background ? *options_.background : scheduler_; }
  const StorageNodeOptions& options() const { return options_; }
  /// One line in the log for what only an operator can mend, at most one a second and disk.
  void complain(DiskState& disk, const Error& error);

 private:
  struct Counters {
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> writes{0};
    std::atomic<std::uint64_t> flushes{0};
    std::atomic<std::uint64_t> read_bytes{0};
    std::atomic<std::uint64_t> written_bytes{0};
    std::atomic<std::uint64_t> damage_met{0};  ///< requests that met damage
    std::atomic<std::uint64_t> scrubbed_bytes{0};
    std::atomic<std::uint64_t> scrub_passes{0};
    std::atomic<std::uint64_t> scrub_found_units{0};
  };

  DiskRef find(DiskId id);
  DiskRef find_or_add(DiskId id);
  Result<> remove(const DiskRef& disk);
  static Error not_served(DiskId id);

  std::optional<IoReply> read(DiskState& disk, const IoRequest& request, bool inline_only);
  void note_stream(const DiskRef& disk, const IoRequest& request);
  bool begins_in_memory(const DiskState& disk, BlockKey key);
  void fetch(const DiskRef& disk, BlockKey key);
  std::optional<IoReply> change(DiskState& disk, const IoRequest& request, bool inline_only);
  Result<> apply(DiskState& disk, const IoRequest& request, bool beside_copy);
  Result<> apply_once(DiskState& disk, const IoRequest& request, bool beside_copy);
  Result<pb::HashReply> versions_reply(DiskId disk, BlockIndex block);
  Result<bool> hides_older(const DiskState& disk, BlockKey key);
  Result<> fork(DiskState& disk, BlockKey from, Generation to, std::uint32_t offset_bytes,
                const Payload& data);
  Result<> remove_versions(const DiskRef& disk, const std::vector<BlockKey>& gone);
  void remove_hidden(const DiskRef& disk, const std::vector<BlockIndex>& blocks);
  void look_for_hidden(const DiskRef& disk);
  IoReply check(DiskState& disk, const IoRequest& request);
  IoReply list_reply(DiskState& disk, const Result<std::vector<Extent>>& found);
  IoReply extents(DiskState& disk, const IoRequest& request);
  IoReply flush(const DiskRef& disk_ref, const IoRequest& request);
  void flush_failed(DiskState& disk, const Error& error);

  pb::FenceReply fence_reply(const SessionRecord& record, Epoch epoch_before) const;
  Result<> add_held_disk(DiskId id, pb::HeldReply& reply);
  Result<std::vector<LogSpan>> held_spans(const pb::HeldRequest& request);
  Result<pb::FenceReply> fence_locked(const DiskRef& disk_ref, const pb::FenceRequest& request);
  void suspect_torn(const DiskRef& disk, const SessionRecord& record);
  void accept_torn(const DiskRef& disk, LogKey key, std::uint32_t at);
  Result<bool> accept_piece(DiskState& disk, LogKey key, std::uint32_t& at);
  Result<> clear_crash(DiskState& disk, const pb::CleanRequest& request);

  /// Where the scrub of everything here has got to.
  struct Scrub {
    std::deque<DiskId> disks;
    std::deque<BlockKey> blocks;
    std::uint32_t at_bytes = 0;  // in the first of blocks
    bool under_way = false;
  };
  bool scrub_begin();
  std::uint64_t scrub_piece(DiskState& disk, BlockKey key);

  BlockStore& store_;
  Scheduler& scheduler_;
  const StorageNodeOptions options_;
  Counters counters_;
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> copies_{0};
  std::atomic<std::size_t> copies_lined_up_{0};
  std::atomic<std::size_t> fetches_{0};

  std::mutex scrub_mutex_;
  Scrub scrub_;  // by scrub_mutex_

  std::shared_mutex disks_mutex_;
  std::map<DiskId, DiskRef> disks_;  // by disks_mutex_
};

/// Makes one block equal to its source's (copying.cpp).
Task<Result<pb::PullReply>> pull_block(std::shared_ptr<NodeCore> core, pb::PullRequest request);

/// NodeCore::hash in the background (upkeep.cpp).
Task<Result<pb::HashReply>> hash_block(std::shared_ptr<NodeCore> core, pb::HashRequest request);

/// The disk id in a reference; invalid.
Result<DiskId> disk_id_of(const std::string& text);

}  // namespace ukai
