// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ukai/result.h"

namespace ukai {

/// A small text file with a kind, a format version and a checksum (docs/block-format.md):
///
///   UKAI <kind>
///   format <version>
///   <key> <value>
///   checksum <16 hex digits>
///
/// Value; keys are unique, values hold no newline.
class TextRecord {
 public:
  TextRecord(std::string kind, std::uint32_t format) : kind_(std::move(kind)), format_(format) {}

  /// corrupt: not such a record, or damaged; refused: its format is newer than `newest_format`.
  /// `path` goes into the messages.
  static Result<TextRecord> decode(std::string_view text, std::string_view kind,
                                   std::uint32_t newest_format, std::string_view path);
  std::string encode() const;
  std::uint32_t format() const { return format_; }

  TextRecord& add(std::string key, std::string value);
  TextRecord& add(std::string key, std::uint64_t value);
  /// corrupt when there is none, or when it is no number.
  Result<std::string> text(std::string_view key) const;
  Result<std::uint64_t> number(std::string_view key) const;

 private:
  std::string kind_;
  std::uint32_t format_;
  std::string path_ = "record";
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace ukai
