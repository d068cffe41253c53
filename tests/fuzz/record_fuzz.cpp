// SPDX-License-Identifier: BSD-2-Clause
//
// Everything in ZooKeeper: what decode_record() lets through can be worked with, and is written as
// it was read. A disk's record and a segment of its map come from one input, cut in two.
#include <cstdint>
#include <string>

#include "check.h"
#include "metadata/records.h"
#include "ukai/block_map.h"
#include "ukai/disk_change.h"
#include "ukai/members.h"

namespace ukai::fuzz {
namespace {

template <class Message>
std::optional<Message> try_record(std::string_view value) {
  auto record = decode_record<Message>("/ukai/x", value);
  if (!record) {
    check(record.error().code == Code::corrupt, "what cannot be is corrupt");
    check_line(record.error().what);
    return std::nullopt;
  }
  auto again = decode_record<Message>("/ukai/x", encode_record(*record));
  check(again.ok(), "what was read can be written and read again");
  check(again->SerializeAsString() == record->SerializeAsString(), "and is the same");
  return std::move(*record);
}

void use_map(const pb::MapSegment& segment, const pb::DiskRecord& disk) {
  const Geometry geometry{disk.size(), disk.block_size()};
  auto sound = check_segment(segment, geometry);
  if (!sound) return check_line(sound.error().what);
  const MapSegmentView view(segment);
  const MemberTable members(disk);
  for (const auto& set : view.sets()) {
    for (std::size_t index : members.in_sync(set)) check(index < members.size(), "a member");
  }
  std::uint64_t blocks = 0;
  for (std::size_t i = 0; i < view.sets().size(); ++i) blocks += view.blocks_of_set(i);
  check(blocks == view.blocks().count() || view.sets().empty(), "each block has one set");
  std::uint64_t next_block = raw(view.blocks().begin);
  for (const auto& span : view.spans()) {
    check(raw(span.blocks.begin) == next_block, "spans follow each other");
    check(view.set_of(span.blocks.begin) == span.set, "a span has its blocks' set");
    next_block = raw(span.blocks.end);
  }
  check(BlockIndex{next_block} == view.blocks().end, "spans cover the segment");
}

void use_disk(const pb::DiskRecord& disk, std::string_view rest) {
  const MemberTable members(disk);
  const std::uint64_t mask = members.missing_mask();
  for (std::size_t i = 0; i < members.size(); ++i) {
    check(((mask >> i & 1) != 0) == members.missing(i), "bit i is member i");
    check(members.index_of(members.node(i)) == i, "a member is found by its name");
  }
  if (auto segment = try_record<pb::MapSegment>(rest)) use_map(*segment, disk);
  // What a host is asked to change.
  pb::ChangeDiskRequest request;
  if (!request.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) return;
  auto changed = apply_change(disk, request);
  if (!changed) return check_line(changed.error().what);
  check(check_record(*changed).ok(), "a change of a sound record gives a sound one");
}

}  // namespace
}  // namespace ukai::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = std::min<std::size_t>(data[0], bytes.size());
  using namespace ukai;
  fuzz::try_record<pb::ClusterRecord>(bytes);
  fuzz::try_record<pb::NodeRecord>(bytes);
  fuzz::try_record<pb::NodeAlive>(bytes);
  fuzz::try_record<pb::HostRecord>(bytes);
  fuzz::try_record<pb::NameRecord>(bytes);
  fuzz::try_record<pb::LeaseRecord>(bytes);
  fuzz::try_record<pb::TrashRecord>(bytes);
  fuzz::try_record<pb::JobRecord>(bytes);
  const auto disk = fuzz::try_record<pb::DiskRecord>(bytes.substr(0, cut));
  if (disk) fuzz::use_disk(*disk, bytes.substr(cut));
  return 0;
}
