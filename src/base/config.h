// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ukai/result.h"
#include "ukai/scheduler.h"

namespace ukai {

/// One TOML file, read strictly: what nobody asked for is an error.
///
/// Keys are written "section.key". A getter without a default is for a key that must be there. A
/// getter never fails at once: it remembers what was wrong and returns the default (or an empty
/// value), so that options are filled in straight lines; finish() then reports the mistake that
/// stands first in the file, or the first key and section that no getter asked for.
///
/// Messages are one line: "FILE:LINE: key 'a.b': what is wrong".
/// Threads: one.
class ConfigReader {
 public:
  /// not_found: no such file; invalid: it cannot be read or is not TOML (line, and the key when it
  /// can be told).
  static Result<ConfigReader> load(const std::string& path);
  /// The same for text that is at hand; `name` stands for the file in messages.
  static Result<ConfigReader> parse(std::string_view text, std::string name);

  /// Whether the file has [section], which from now on counts as known.
  bool has_section(const std::string& section);

  std::string string(const std::string& key, std::optional<std::string> fallback = std::nullopt);
  bool boolean(const std::string& key, std::optional<bool> fallback = std::nullopt);

  struct Limits {
    std::int64_t min = 0;
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
  };
  std::int64_t integer(const std::string& key, Limits limits,
                       std::optional<std::int64_t> fallback = std::nullopt);
  /// Bytes: "4MiB", "10G", or a bare number of bytes.
  std::uint64_t size(const std::string& key, std::optional<std::uint64_t> fallback = std::nullopt);
  /// "2s", "500ms", "250us", "5m", "1h"; never a bare number, whose unit nobody sees.
  Duration duration(const std::string& key, std::optional<Duration> fallback = std::nullopt);
  /// An array of strings.
  std::vector<std::string> strings(const std::string& key,
                                   std::optional<std::vector<std::string>> fallback = std::nullopt);
  /// One word out of `choices`.
  std::string choice(const std::string& key, const std::vector<std::string>& choices,
                     std::optional<std::string> fallback = std::nullopt);
  /// An octal number written as a string: "0660".
  std::uint32_t octal(const std::string& key, std::optional<std::uint32_t> fallback = std::nullopt);

  /// Records that the value of `key` is wrong for a reason only the caller can judge.
  void reject(const std::string& key, const std::string& why);

  /// The first mistake by line, then the first unknown key or section. Call it once, at the end.
  Result<> finish() const;

 private:
  struct Other {
    std::string type;  ///< as a person calls it: "a date", "a table"
  };
  using Value = std::variant<std::string, bool, std::int64_t, std::vector<std::string>, Other>;
  struct Entry {
    Value value;
    std::uint32_t line = 0;
  };
  struct Mistake {
    std::uint32_t line;
    std::string what;
  };
  struct Flattener;

  ConfigReader() = default;
  /// The entry, or nullptr after recording that a required key is missing.
  const Entry* find(const std::string& key, bool required);
  /// The value of that type, or nullptr after recording what it is instead.
  template <class T>
  const T* typed(const std::string& key, bool required, std::string_view wanted);
  std::uint32_t line_for(const std::string& key) const;
  std::string mistake_text(std::uint32_t line, const std::string& key, std::string_view why) const;

  std::string name_;
  std::map<std::string, Entry> entries_;           ///< by full key
  std::map<std::string, std::uint32_t> sections_;  ///< line of each, by full name
  std::uint32_t last_line_ = 1;
  std::set<std::string> known_;  ///< keys and sections that were asked for
  std::vector<Mistake> mistakes_;
};

/// "2s", "500ms" to a Duration; invalid otherwise.
Result<Duration> parse_duration(std::string_view text);

}  // namespace ukai
