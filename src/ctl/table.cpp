// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <ctime>

namespace ukai::ctl {
namespace {

void end_line(std::string& text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  text += '\n';
}

}  // namespace

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {
  for (std::string& heading : headings_) {
    const bool right = heading.starts_with('>');
    right_.push_back(right);
    if (right) heading.erase(0, 1);
  }
}

void Table::add_row(std::vector<std::string> cells) {
  assert(cells.size() == headings_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings_) widths.push_back(heading.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  auto add = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) text += "  ";
      const std::string blanks(widths[i] - cells[i].size(), ' ');
      text += right_[i] ? blanks + cells[i] : cells[i] + blanks;
    }
    end_line(text);
  };
  add(headings_);
  for (const auto& row : rows_) add(row);
  return text;
}

void Properties::add(std::string key, std::string value) {
  lines_.emplace_back(std::move(key), std::move(value));
}

std::string Properties::text() const {
  std::size_t width = 0;
  for (const auto& [key, value] : lines_) width = std::max(width, key.size());
  std::string text;
  for (const auto& [key, value] : lines_) {
    text += fmt::format("{:<{}}  {}", key, width, value);
    end_line(text);
  }
  return text;
}

std::string format_time(std::uint64_t unix_s) {
  if (unix_s == 0) return "-";
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) return fmt::format("{} s", unix_s);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  if (parts.empty()) return "-";
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string count_of(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace ukai::ctl
