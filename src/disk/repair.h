// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "disk/disk_core.h"
#include "disk/requests.h"
#include "ukai/block_store.h"

namespace ukai {

/// Puts good data from another replica in the place of data that does not fit its checksum
/// (design.md rule 9). Works on whole 4 KiB units.
class Repairer {
 public:
  explicit Repairer(DiskCore& core) : core_(core) {}

  struct Outcome {
    std::uint64_t damaged = 0;   ///< units found
    std::uint64_t repaired = 0;  ///< of those
    bool undecided = false;      ///< another try may repair more: somebody could not be asked
  };

  /// The part with the units that it touches at its ends.
  static BlockPart whole_units(BlockPart part);
  /// Looks for damage on one member's replica; nothing is held. At most limits::io_bytes_max.
  Task<Result<std::vector<Extent>>> look(BlockPart part, std::size_t index);
  /// Repairs what is damaged there. `part` is whole units, held exclusively by the caller.
  Task<Result<Outcome>> repair_held(BlockPart part, std::size_t index);
  /// Holds the part, then the same for each of the members.
  Task<Result<Outcome>> repair(BlockPart part, std::vector<std::size_t> members);
  /// For who has met damage and does not wait.
  Task<void> repair_later(BlockPart part, std::vector<std::size_t> members);
  /// A line in the log and in `ukaictl errors`.
  void report(BlockPart part, std::size_t index, std::string_view outcome);

 private:
  std::optional<Target> target(std::size_t index);
  std::vector<Target> sources(BlockIndex block, std::size_t except);
  enum class Mended { yes, no, not_now };
  Task<Mended> mend(BlockPart unit, Target damaged);
  std::size_t others_in_sync(BlockIndex block, std::size_t index);

  DiskCore& core_;
};

}  // namespace ukai
