// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/result.h"
#include "ukai_records.pb.h"

namespace ukai {

/// What the fields of each record must be, beyond being a message that parses: what the rest of the
/// system divides, shifts, indexes and looks up by, without asking again. decode_record() applies
/// them to everything that is read. What needs to be known besides the record stands elsewhere:
/// check_segment() for a segment's runs, Catalog for ids that a path repeats.
///
/// Error: corrupt; the text says what is wrong, and goes behind the path.
Result<> check_record(const pb::ClusterRecord& record);
Result<> check_record(const pb::NodeRecord& record);
Result<> check_record(const pb::NodeAlive& record);
Result<> check_record(const pb::HostRecord& record);
Result<> check_record(const pb::NameRecord& record);
Result<> check_record(const pb::DiskRecord& record);
Result<> check_record(const pb::MapSegment& record);
Result<> check_record(const pb::LeaseRecord& record);
Result<> check_record(const pb::TrashRecord& record);
Result<> check_record(const pb::EventRecord& record);
Result<> check_record(const pb::JobRecord& record);

}  // namespace ukai
