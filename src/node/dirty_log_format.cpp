// SPDX-License-Identifier: BSD-2-Clause
#include "node/dirty_log_format.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <optional>

namespace ukai {

std::vector<LogSpan> to_spans(std::vector<LogKey> keys) {
  std::sort(keys.begin(), keys.end(), [](const LogKey& a, const LogKey& b) {
    return std::pair(a.generation, a.block) < std::pair(b.generation, b.block);
  });
  std::vector<LogSpan> spans;
  for (const LogKey& key : keys) {
    if (!spans.empty() && spans.back().generation == key.generation &&
        spans.back().end == key.block)
      spans.back().end = next(key.block);
    else
      spans.push_back({key.block, next(key.block), key.generation});
  }
  return spans;
}

namespace dirty_log_format {
namespace {

constexpr std::string_view magic = "UKDL";
constexpr std::uint32_t format_version = 1;
constexpr std::string_view batch_magic = "UKDB";
constexpr std::size_t header_bytes = 8;
constexpr std::size_t batch_header_bytes = 24;

void put(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

/// Reads little-endian fields off a view; once it runs short it stays failed.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number(std::size_t length) {
    const auto piece = take(length);
    std::uint64_t value = 0;
    for (std::size_t i = piece.size(); i > 0; --i)
      value = (value << 8) | static_cast<unsigned char>(piece[i - 1]);
    return value;
  }
  std::string_view take(std::size_t length) {
    if (bytes_.size() < length) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const auto piece = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return piece;
  }
  bool failed() const { return failed_; }
  bool done() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

std::uint64_t checksum(std::uint64_t number, std::string_view body) {
  return XXH3_64bits_withSeed(body.data(), body.size(), number);
}

struct Batch {
  std::uint64_t number;
  std::string_view body;
};

/// The batch at the start of `bytes`, if there is a whole and undamaged one.
std::optional<Batch> batch_at(std::string_view bytes) {
  if (!bytes.starts_with(batch_magic) || bytes.size() < batch_header_bytes) return std::nullopt;
  Reader reader(bytes.substr(batch_magic.size()));
  const std::uint64_t length = reader.number(4);
  const std::uint64_t number = reader.number(8);
  const std::uint64_t sum = reader.number(8);
  const std::string_view body = reader.take(length);
  if (reader.failed() || sum != checksum(number, body)) return std::nullopt;
  return Batch{number, body};
}

bool any_batch_in(std::string_view bytes) {
  for (auto at = bytes.find(batch_magic); at != std::string_view::npos;
       at = bytes.find(batch_magic, at + 1))
    if (batch_at(bytes.substr(at))) return true;
  return false;
}

bool decode_body(std::string_view body, const std::function<void(const LogRecord&)>& apply) {
  Reader reader(body);
  while (!reader.done()) {
    LogRecord record;
    const std::uint64_t kind = reader.number(1);
    if (kind < 1 || kind > 4) return false;
    record.kind = static_cast<LogRecord::Kind>(kind);
    record.member = reader.take(reader.number(1));
    record.span.begin = BlockIndex{reader.number(8)};
    record.span.end = BlockIndex{reader.number(8)};
    record.span.generation = Generation{reader.number(8)};
    if (reader.failed() || record.span.end <= record.span.begin) return false;
    apply(record);
  }
  return true;
}

}  // namespace

std::string header() {
  std::string out(magic);
  put(out, format_version, 4);
  return out;
}

void append_record(std::string& body, const LogRecord& record) {
  assert(record.member.size() < 256);
  put(body, static_cast<std::uint64_t>(record.kind), 1);
  put(body, record.member.size(), 1);
  body += record.member;
  put(body, raw(record.span.begin), 8);
  put(body, raw(record.span.end), 8);
  put(body, raw(record.span.generation), 8);
}

std::string batch(std::uint64_t number, std::string_view body) {
  std::string out(batch_magic);
  put(out, body.size(), 4);
  put(out, number, 8);
  put(out, checksum(number, body), 8);
  out += body;
  return out;
}

Result<Decoded> decode(std::string_view content,
                       const std::function<void(const LogRecord&)>& apply) {
  if (!content.starts_with(magic) || content.size() < header_bytes)
    return Error{Code::corrupt, "does not begin with \"UKDL\""};
  const std::uint64_t version = Reader(content.substr(magic.size())).number(4);
  if (version > format_version)
    return Error{Code::refused,
                 fmt::format("format {} is newer than this program's {}", version, format_version)};
  Decoded decoded;
  std::string_view rest = content.substr(header_bytes);
  while (!rest.empty()) {
    const auto batch = batch_at(rest);
    if (batch && batch->number == decoded.batches + 1) {
      if (!decode_body(batch->body, apply))
        return Error{Code::corrupt,
                     fmt::format("batch {} has a record that does not parse", batch->number)};
      ++decoded.batches;
      rest.remove_prefix(batch_header_bytes + batch->body.size());
      continue;
    }
    // A crash tears only the last append, and nobody was answered on the strength of that one.
    if (any_batch_in(rest))
      return Error{Code::corrupt,
                   fmt::format("damaged at byte {}, before its end", content.size() - rest.size())};
    decoded.torn = true;
    break;
  }
  return decoded;
}

}  // namespace dirty_log_format
}  // namespace ukai
