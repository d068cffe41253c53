// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ukai::ctl {

/// Columns of text for people. A heading that starts with '>' aligns its column to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  /// One cell for each heading.
  void add_row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// Headings and rows; no blanks at the ends of lines.
  std::string text() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// "key  value" lines, the values in one column.
class Properties {
 public:
  void add(std::string key, std::string value);
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

/// "2026-11-22T19:02:11Z"; "-" for 0.
std::string format_time(std::uint64_t unix_s);
/// "a,b,c"; "-" when empty.
std::string join(const std::vector<std::string>& parts, std::string_view separator = ",");
/// "1 disk", "2 disks".
std::string count_of(std::uint64_t count, std::string_view noun);
/// Control characters escaped, so that a message stays one line and leaves the terminal alone.
std::string one_line(std::string_view text);

}  // namespace ukai::ctl
