// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "metadata/record_rules.h"
#include "ukai/result.h"
#include "ukai_records.pb.h"

namespace ukai {

/// The envelope of every value in ZooKeeper: "UKR1", one byte that says which message follows, the
/// message. Grammar and a worked example: docs/metadata-layout.md.
enum class RecordKind : char {
  cluster = 'C',
  node = 'N',
  node_alive = 'A',
  host = 'H',
  name = 'I',
  disk = 'D',
  segment = 'M',
  lease = 'L',
  trash = 'T',
  event = 'E',
  job = 'J',
};

constexpr RecordKind kind_of(const pb::ClusterRecord*) { return RecordKind::cluster; }
constexpr RecordKind kind_of(const pb::NodeRecord*) { return RecordKind::node; }
constexpr RecordKind kind_of(const pb::NodeAlive*) { return RecordKind::node_alive; }
constexpr RecordKind kind_of(const pb::HostRecord*) { return RecordKind::host; }
constexpr RecordKind kind_of(const pb::NameRecord*) { return RecordKind::name; }
constexpr RecordKind kind_of(const pb::DiskRecord*) { return RecordKind::disk; }
constexpr RecordKind kind_of(const pb::MapSegment*) { return RecordKind::segment; }
constexpr RecordKind kind_of(const pb::LeaseRecord*) { return RecordKind::lease; }
constexpr RecordKind kind_of(const pb::TrashRecord*) { return RecordKind::trash; }
constexpr RecordKind kind_of(const pb::EventRecord*) { return RecordKind::event; }
constexpr RecordKind kind_of(const pb::JobRecord*) { return RecordKind::job; }

namespace detail {
std::string encode_record(RecordKind kind, const google::protobuf::MessageLite& message);
Result<> decode_record(RecordKind kind, std::string_view path, std::string_view value,
                       google::protobuf::MessageLite& out);
Error corrupt_record(std::string_view path, const std::string& why);
/// corrupt, when the value has the envelope of a later UKAI.
std::optional<Error> newer_envelope(std::string_view path, std::string_view value);
}  // namespace detail

template <class Message>
std::string encode_record(const Message& message) {
  return detail::encode_record(kind_of(&message), message);
}

/// corrupt: no envelope, a newer one, another kind, bytes that do not parse, or fields against
/// check_record(); the message names `path`. Fields that this version does not know are kept, and
/// written back.
template <class Message>
Result<Message> decode_record(std::string_view path, std::string_view value) {
  Message message;
  if (auto fine = detail::decode_record(kind_of(&message), path, value, message); !fine) {
    return fine.error();
  }
  if (auto fine = check_record(message); !fine) {
    return detail::corrupt_record(path, fine.error().what);
  }
  return message;
}

}  // namespace ukai
