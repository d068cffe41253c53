// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/records.h"

#include "base/text.h"

namespace ukai::detail {

namespace {

constexpr std::string_view envelope_family = "UKR";
constexpr std::string_view envelope = "UKR1";
constexpr std::size_t header_bytes = envelope.size() + 1;

}  // namespace

Error corrupt_record(std::string_view path, const std::string& why) {
  return {Code::corrupt, "metadata record " + std::string(path) + ": " + why};
}

std::optional<Error> newer_envelope(std::string_view path, std::string_view value) {
  const std::string found(value.substr(0, envelope.size()));
  if (!found.starts_with(envelope_family) || found.size() < envelope.size()) return std::nullopt;
  if (found.back() < '2' || found.back() > '9') return std::nullopt;
  return corrupt_record(path, "has the envelope " + found + " of a newer UKAI; this one reads " +
                                  std::string(envelope));
}

std::string encode_record(RecordKind kind, const google::protobuf::MessageLite& message) {
  std::string value(envelope);
  value.push_back(static_cast<char>(kind));
  message.AppendToString(&value);
  return value;
}

Result<> decode_record(RecordKind kind, std::string_view path, std::string_view value,
                       google::protobuf::MessageLite& out) {
  if (value.empty()) return corrupt_record(path, "is empty");
  if (value.size() < header_bytes || !value.starts_with(envelope_family)) {
    return corrupt_record(path, "is no UKAI record");
  }
  if (auto newer = newer_envelope(path, value)) return *newer;
  if (!value.starts_with(envelope)) return corrupt_record(path, "is no UKAI record");
  if (value[envelope.size()] != static_cast<char>(kind)) {
    return corrupt_record(path, std::string("is of kind '") +
                                    printable(value.substr(envelope.size(), 1)) + "', not '" +
                                    static_cast<char>(kind) + "'");
  }
  const std::string_view body = value.substr(header_bytes);
  if (!out.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return corrupt_record(path, "does not parse");
  }
  return Unit{};
}

}  // namespace ukai::detail
