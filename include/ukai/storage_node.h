// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ukai/block_store.h"
#include "ukai/io.h"
#include "ukai/node_link.h"
#include "ukai/task.h"
#include "ukai_node.pb.h"
#include "ukai_records.pb.h"

namespace ukai {

class NodeCore;

/// Finds the link to another node, by the addresses in a PullRequest.
using PeerFinder = std::function<std::shared_ptr<NodeLink>(const pb::PullRequest&)>;

struct StorageNodeOptions {
  NodeId id;
  std::string cluster_id;
  std::string boot_id;            ///< of this machine's current boot, or a test's
  std::uint64_t incarnation = 0;  ///< random, of this process
  PeerFinder peers;
  /// Where pulls and hashes are worked on, so that they stay out of the way of requests; outlives
  /// the node and these. nullptr: the node's scheduler.
  Scheduler* background = nullptr;
};

/// One storage node without its transport: sessions, fencing, the dirty-block logs, copying.
/// Used by ukainode, inside ukaid, and by the simulator: same class.
///
/// Rules it keeps by itself (design.md 5, protocol.md):
///  - nothing of an epoch or session smaller than the largest seen is applied or answered; a larger
///    one is durable before the fence is answered, and everything older has ended by then;
///  - after a restart a disk is served only once its holder has fenced it;
///  - before the first change of a block, it is in the durable active set, and in missed[m] for
///    each missing member m;
///  - forwarded writes and pulled data of one block have one order; pulled data never covers a
///    write forwarded since the pull began, or since the sequence that the pull names;
///  - after a failed flush the disk is not served until a new fence, which reports `crashed`.
///
/// Threads: safe from any. The calls block on the device, except handle() with inline_only and
/// those whose steps run in the background, pull() and hash_in_background(). No call but these two
/// may be under way when it is destroyed.
class StorageNode {
 public:
  StorageNode(BlockStore& store, Scheduler& scheduler, StorageNodeOptions options);
  ~StorageNode();

  /// Answers one data request. When `inline_only`, returns nullopt instead of blocking on the
  /// device, and has changed nothing then; call again on a thread that may block.
  std::optional<IoReply> handle(const IoRequest& request, bool inline_only);

  Result<pb::FenceReply> fence(const pb::FenceRequest& request);
  Result<pb::DirtyListReply> dirty_list(const pb::DirtyListRequest& request);
  Result<pb::CleanReply> clean(const pb::CleanRequest& request);
  Result<pb::SetMissingReply> set_missing(const pb::SetMissingRequest& request);
  Task<Result<pb::PullReply>> pull(pb::PullRequest request);
  Result<pb::HashReply> hash(const pb::HashRequest& request);
  /// The same, worked out in the background: it takes milliseconds.
  Task<Result<pb::HashReply>> hash_in_background(pb::HashRequest request);
  /// Makes a new disk of a frozen generation, by hard links; durable if that generation is.
  Result<pb::CloneReply> clone(const pb::CloneRequest& request);
  Result<pb::DiskUsageReply> disk_usage(const pb::DiskUsageRequest& request);
  pb::HealthReply health();
  /// What lies here, page by page, sessions or not.
  Result<pb::HeldReply> held(const pb::HeldRequest& request);
  /// Checks the next piece of what is stored here, at most limits::io_bytes_max, and reports damage
  /// in the log and in health(). The bytes read; 0: a pass has ended, and the next call begins one.
  std::uint64_t scrub_step();
  /// An order from the registry: the disk's record is gone.
  Result<> delete_disk(DiskId disk);
  /// An order from the registry: these blocks of a disk have lost their location here, or nobody
  /// needs some versions any more. busy: the order is not released, and its lease may still have
  /// reads under way here.
  Result<> delete_blocks(const pb::TrashRecord& order);
  /// Disks that delete_blocks() has left without any block, and that nobody has fenced since; also
  /// by earlier processes.
  std::vector<DiskId> left_disks();
  /// Removes what is left of such a disk, its logs and its session: the caller knows that its
  /// record does not name this node, and that the lease under which it did is over. busy: it is
  /// in use again.
  Result<> delete_left(DiskId disk);

 private:
  /// shared: a copy under way ends at its next step, perhaps after the node has been destroyed.
  std::shared_ptr<NodeCore> core_;
};

}  // namespace ukai
