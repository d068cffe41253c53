// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <deque>
#include <memory>

#include "disk/connector.h"
#include "disk/copy.h"
#include "disk/disk_core.h"
#include "disk/membership.h"

namespace ukai {

/// Brings a missing member back in sync while the guest goes on.
///
/// Order (protocol.md, "Copying a block"): new writes go to the member as well; the writes planned
/// before that are waited out; then what it missed, and what it may have applied alone, is pulled
/// block by block; flushed; recorded as present. Whatever fails on the way ends the attempt and
/// loses nothing.
class Healer {
 public:
  Healer(DiskCore& core, Membership& membership, Connector& connector)
      : core_(core), membership_(membership), connector_(connector) {}

  /// True: the member is present. False: try again later.
  Task<bool> heal(std::size_t index);

 private:
  struct Attempt {
    std::size_t index = 0;
    Session session{};
    std::set<std::size_t> asked;  ///< members whose logs say what it missed
    bool unknown = false;         ///< a survivor that would know more is away
    Generation generation{1};     ///< of what is compared
    // -- by core mutex
    std::deque<BlockVersion> left;
    std::uint64_t compare_next = 0;  ///< no log tells: each block from here on that it has
    std::uint64_t compare_end = 0;
    std::uint64_t under_way = 0;
    bool failed = false;
  };

  bool begin(Attempt& attempt);
  bool alive(const Attempt& attempt);
  Task<void> drain(std::shared_ptr<std::atomic<bool>> drained);
  Task<bool> wait_out_writes(const Attempt& attempt);
  Task<bool> load_map();
  Task<bool> collect(Attempt& attempt);
  Task<bool> add_list(Attempt& attempt, std::size_t asked, std::string missed_by,
                      std::set<BlockVersion>& found);
  bool anything_unknown(const Attempt& attempt);
  bool lacks(std::size_t index, BlockIndex block);
  std::size_t copies_of(BlockIndex block);
  Task<bool> copy_all(std::shared_ptr<Attempt> attempt);
  Task<bool> copy_some(std::shared_ptr<Attempt> attempt);
  Task<std::optional<BlockVersion>> next_block(Attempt& attempt);
  Task<bool> copy_block(Attempt& attempt, BlockVersion version);
  void show_left_locked(const Attempt& attempt);
  Task<bool> finish(Attempt& attempt);
  void end(const Attempt& attempt);

  DiskCore& core_;
  Membership& membership_;
  Connector& connector_;
};

}  // namespace ukai
