// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ukai/types.h"

namespace ukai {

/// One stored version of a block of the disk that the log belongs to.
struct LogKey {
  BlockIndex block{};
  Generation generation{1};
  auto operator<=>(const LogKey&) const = default;
};

/// Versions [begin, end) of one generation.
struct LogSpan {
  BlockIndex begin{};
  BlockIndex end{};
  Generation generation{1};
  auto operator<=>(const LogSpan&) const = default;
};

/// `keys`, in any order and without duplicates, as few spans.
std::vector<LogSpan> to_spans(std::vector<LogKey> keys);

/// One change of the two sets, as the log has it.
struct LogRecord {
  enum class Kind : std::uint8_t {
    set_active = 1,
    clear_active = 2,
    set_missed = 3,
    clear_missed = 4,
  };
  Kind kind = Kind::set_active;
  LogSpan span;
  std::string member;  ///< of the missed ones
  bool operator==(const LogRecord&) const = default;
};

/// The dirty log's bytes (docs/block-format.md): a header, then batches, each with its number in
/// the file and a checksum. A batch is what one append wrote.
namespace dirty_log_format {

std::string header();
void append_record(std::string& body, const LogRecord& record);
std::string batch(std::uint64_t number, std::string_view body);

struct Decoded {
  std::uint64_t batches = 0;  ///< whole ones; the next has the number after
  bool torn = false;          ///< the last append did not reach the medium whole
};
/// Hands each record to `apply`, in order. corrupt: not such a log, or damaged before its last
/// batch.
Result<Decoded> decode(std::string_view content,
                       const std::function<void(const LogRecord&)>& apply);

}  // namespace dirty_log_format
}  // namespace ukai
