// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

#include "store/posix_file.h"
#include "ukai/types.h"

namespace ukai {

/// Whose data folder this must be.
struct StoreIdentity {
  NodeId node_id;
  std::string cluster_id;
};

/// A node's data folder: its identity has been checked, and no second daemon gets in while the
/// lock is held.
struct StoreFolder {
  Folder root;
  Folder disks;
  Folder trash;
  UniqueFd lock;
  std::string store_id;
  bool fresh = false;  ///< formatted just now
};

/// Opens the data folder `path`. An empty one is formatted when `create_if_empty`.
///
/// Errors, each one line, with nothing changed: not_found (no such folder; or empty and not to be
/// formatted), refused (no folder, not a UKAI store, newer format, other node or cluster, not
/// readable or writable), busy (another process has it; names the pid), corrupt, io, no_space.
Result<StoreFolder> open_store_folder(const std::string& path, const StoreIdentity& identity,
                                      bool create_if_empty);

}  // namespace ukai
