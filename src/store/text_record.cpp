// SPDX-License-Identifier: BSD-2-Clause
#include "store/text_record.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cassert>
#include <charconv>
#include <optional>

namespace ukai {
namespace {

constexpr std::string_view checksum_key = "checksum ";

std::string checksum_line(std::string_view text) {
  return fmt::format("{}{:016x}\n", checksum_key, XXH3_64bits(text.data(), text.size()));
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Takes the first line off `text`; nullopt without a newline.
std::optional<std::string_view> take_line(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

Result<TextRecord> TextRecord::decode(std::string_view text, std::string_view kind,
                                      std::uint32_t newest_format, std::string_view path) {
  const auto damaged = [&](std::string_view why) {
    return Error{Code::corrupt, fmt::format("{}: {}", path, why)};
  };
  std::string_view rest = text;
  const auto magic = take_line(rest);
  if (!magic || *magic != fmt::format("UKAI {}", kind))
    return damaged(fmt::format("does not begin with \"UKAI {}\"", kind));
  // The version comes before the checksum: a later format may check itself in another way.
  auto format_line = take_line(rest);
  if (!format_line || !format_line->starts_with("format ")) return damaged("has no format version");
  const auto format = parse_number(format_line->substr(7));
  if (!format || *format == 0) return damaged("has no format version");
  if (*format > newest_format) {
    return Error{Code::refused, fmt::format("{}: format {} is newer than this program's {}", path,
                                            *format, newest_format)};
  }
  const auto last = text.rfind(checksum_key);
  if (last == std::string_view::npos || text.substr(last) != checksum_line(text.substr(0, last)))
    return damaged("damaged: its checksum is wrong");

  TextRecord record{std::string(kind), static_cast<std::uint32_t>(*format)};
  record.path_ = path;
  rest = rest.substr(0, rest.size() - (text.size() - last));
  while (const auto line = take_line(rest)) {
    const auto space = line->find(' ');
    if (space == std::string_view::npos) return damaged("has a line without a value");
    record.add(std::string(line->substr(0, space)), std::string(line->substr(space + 1)));
  }
  return record;
}

std::string TextRecord::encode() const {
  std::string text = fmt::format("UKAI {}\nformat {}\n", kind_, format_);
  for (const auto& [key, value] : fields_) text += fmt::format("{} {}\n", key, value);
  return text + checksum_line(text);
}

TextRecord& TextRecord::add(std::string key, std::string value) {
  assert(key.find_first_of(" \n") == std::string::npos);
  assert(value.find('\n') == std::string::npos);
  fields_.emplace_back(std::move(key), std::move(value));
  return *this;
}

TextRecord& TextRecord::add(std::string key, std::uint64_t value) {
  return add(std::move(key), std::to_string(value));
}

Result<std::string> TextRecord::text(std::string_view key) const {
  for (const auto& [name, value] : fields_)
    if (name == key) return value;
  return Error{Code::corrupt, fmt::format("{}: has no line \"{}\"", path_, key)};
}

Result<std::uint64_t> TextRecord::number(std::string_view key) const {
  auto value = text(key);
  if (!value.ok()) return value.error();
  const auto number = parse_number(*value);
  if (!number)
    return Error{Code::corrupt, fmt::format("{}: \"{} {}\" is no number", path_, key, *value)};
  return *number;
}

}  // namespace ukai
