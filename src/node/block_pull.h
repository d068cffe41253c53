// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "node/chunk_hash.h"
#include "node/node_core.h"

namespace ukai {

/// One copy, from its registration to its end. Its steps hold the disk's gate shared, one by one,
/// so that a fence waits for a step and ends the copy.
class BlockPull {
 public:
  BlockPull(std::shared_ptr<NodeCore> core, pb::PullRequest request)
      : core_(std::move(core)), request_(std::move(request)) {}
  BlockPull(const BlockPull&) = delete;
  BlockPull& operator=(const BlockPull&) = delete;
  ~BlockPull();

  /// From here on changes of the block take turns with this copy, which knows what they cover.
  Result<> begin();
  /// Once begun.
  Task<Result<pb::PullReply>> run();
  /// Begins and runs it, for all versions of the block.
  Task<Result<pb::PullReply>> run_versions();

 private:
  Result<> look();
  Result<> keep_covered();
  Task<Result<std::set<Generation>>> older_versions();
  Result<NodeCore::Admitted> step();
  Task<Result<pb::HashReply>> source_hashes();
  Task<Result<std::vector<Extent>>> source_extents();
  bool hole(Extent chunk) const;
  bool damaged_at_source(Extent chunk) const;
  ChunkHash source_hash(Extent chunk) const;
  Result<std::vector<Extent>> compare(std::uint32_t& at);
  Result<bool> same(Extent chunk);
  Result<> grow_zeros(Extent chunk);
  Result<> apply_zeros();
  Task<Result<>> fetch(std::vector<Extent> wanted);
  Task<Result<>> fetch_units(Extent chunk);
  Result<> give_up(Extent unit);
  struct Fetched {
    IoReply reply;
    std::size_t wire_bytes = 0;
  };
  Task<Fetched> read_source(Extent chunk);
  void measure();
  void judge_link(Duration took, std::size_t bytes);
  Result<> keep_head();
  /// `data` empty: zeros.
  Result<> put(Extent range, const Payload& data);
  Task<void> pace();
  Error from_source(Code code, const std::string& what) const;

  const std::shared_ptr<NodeCore> core_;  // shared: outlives the node until the next step
  const pb::PullRequest request_;
  std::shared_ptr<NodeLink> source_;
  NodeCore::DiskRef disk_;
  BlockKey key_;
  LogKey log_key_;
  std::optional<BlockKey> head_;     // to be kept from what this does to an older version
  std::shared_ptr<BlockCopy> copy_;  // shared with the changes that take turns with it
  bool rewrite_ = false;
  std::vector<Extent> extents_;
  pb::HashReply hashes_;
  std::optional<std::vector<Extent>> source_extents_;  // instead of hashes: nothing was here
  Extent zeros_;  // a run of chunks that become zeros, not applied yet
  TimePoint started_;
  pb::PullReply reply_;
  // The link is slow. Shared with a ping whose answer may outlast the copy.
  const std::shared_ptr<std::atomic<bool>> slow_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace ukai
