// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ukai_records.pb.h"

namespace ukai {

/// What changes of a disk look like as events; pure. Who and when is filled in by the catalog.

pb::EventRecord creation_event(const pb::DiskRecord& record);
pb::EventRecord deletion_event(const pb::DiskRecord& record);

/// One for each thing that differs between the two records: size, name, allowed hosts, members that
/// went missing or came back. `asked`: when it says what was done, it is the only one; else it may
/// say who asked.
std::vector<pb::EventRecord> change_events(const pb::DiskRecord& before,
                                           const pb::DiskRecord& after,
                                           const pb::EventRecord& asked);

/// Nothing for the moments in which ukaictl holds a lease: its change has an event of its own.
std::vector<pb::EventRecord> lease_events(const pb::DiskRecord& record,
                                          const pb::LeaseRecord& lease);
/// Of the values of the disk's and the lease's znodes, which need not parse.
pb::EventRecord force_event(const std::string& record, const std::string& lease);

}  // namespace ukai
