// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "fuse/mount.h"
#include "ukai_takeover.pb.h"

namespace ukai::fuse {

/// What the kernel relies on: inodes, open handles, locks. Nothing of the mount is in use
/// meanwhile: nothing is received and no request is in flight.
void save(const Mount& mount, pb::MountState& out);

/// The other way round, into a mount that has served nothing yet. A handle whose disk is gone for
/// good is left out, so that its requests fail (EBADF). Errors: as HostDisks::resume.
Task<Result<>> restore(Mount& mount, pb::MountState state);

/// Makes durable what was written through handles that no flush has covered. A handle that is dead
/// owes nothing. Errors: as OpenDisk::flush, of the first that failed.
Task<Result<>> flush_all(const Mount& mount);

}  // namespace ukai::fuse
