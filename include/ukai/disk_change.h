// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/result.h"
#include "ukai_host.pb.h"
#include "ukai_records.pb.h"

namespace ukai {

/// What a ChangeDiskRequest makes of a disk's record; pure. Used by the lease holder and, for a
/// disk that nobody holds, by ukaictl. A resize changes `size` only: the caller grows the map with
/// it. Repeating what is already so changes nothing and is no error. Errors: invalid (bad size,
/// name, host, key), refused (shrinking).
Result<pb::DiskRecord> apply_change(pb::DiskRecord record, const pb::ChangeDiskRequest& request);

}  // namespace ukai
