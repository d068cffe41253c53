// SPDX-License-Identifier: BSD-2-Clause
#include "base/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "ukai/types.h"

namespace ukai {
namespace {

constexpr std::size_t file_bytes_max = 1U << 20;  // a config file larger than this is not one

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const auto begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// The key that line `line` (from 1) assigns, with the section it stands in; empty when the line
/// holds none. Only for messages about text that does not parse.
std::string key_on_line(const std::vector<std::string_view>& lines, std::size_t line) {
  if (line == 0 || line > lines.size()) return {};
  const std::string_view own = trim(lines[line - 1]);
  if (own.empty() || own.front() == '[' || own.front() == '#') return {};
  std::string key(trim(own.substr(0, own.find('='))));
  for (std::size_t i = line - 1; i-- > 0;) {
    const std::string_view above = trim(lines[i]);
    if (above.size() < 2 || above.front() != '[') continue;
    const auto name = trim(above.substr(1, above.find(']') - 1));
    return fmt::format("{}.{}", name, key);
  }
  return key;
}

/// What toml++ calls a type, as a person does.
std::string_view type_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array of other things than strings";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    default:
      return "something else";
  }
}

template <class T>
constexpr std::string_view plain_type_name() {
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (std::is_same_v<T, bool>) return "a boolean";
  if constexpr (std::is_same_v<T, std::int64_t>) return "an integer";
  return "an array of strings";
}

}  // namespace

/// Turns the tree of tables into full keys with their lines.
struct ConfigReader::Flattener {
  ConfigReader& reader;

  void table(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string full = prefix + std::string(key.str());
      const std::uint32_t line = key.source().begin.line;
      if (const auto* inner = node.as_table()) {
        reader.sections_.emplace(full, line);
        this->table(*inner, full + ".");
      } else {
        reader.entries_.emplace(full, Entry{value(node), line});
      }
    }
  }

  static Value value(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* truth = node.as_boolean()) return truth->get();
    if (const auto* number = node.as_integer()) return number->get();
    if (const auto* array = node.as_array()) {
      std::vector<std::string> texts;
      for (const auto& element : *array) {
        if (!element.is_string()) return Other{std::string(type_name(toml::node_type::array))};
        texts.push_back(element.as_string()->get());
      }
      return texts;
    }
    return Other{std::string(type_name(node.type()))};
  }
};

Result<ConfigReader> ConfigReader::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Error{errno == ENOENT ? Code::not_found : Code::invalid,
                 fmt::format("{}: {}", path, std::strerror(errno))};
  }
  std::string text(file_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return Error{Code::invalid, fmt::format("{}: cannot be read", path)};
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > file_bytes_max) {
    return Error{Code::invalid, fmt::format("{}: larger than 1 MiB", path)};
  }
  return parse(text, path);
}

Result<ConfigReader> ConfigReader::parse(std::string_view text, std::string name) {
  ConfigReader reader;
  reader.name_ = std::move(name);
  const auto lines = lines_of(text);
  reader.last_line_ = static_cast<std::uint32_t>(std::max<std::size_t>(lines.size(), 1));
  try {
    const toml::table root = toml::parse(text, reader.name_);
    Flattener{reader}.table(root, "");
  } catch (const toml::parse_error& error) {
    std::uint32_t line = std::clamp<std::uint32_t>(error.source().begin.line, 1, reader.last_line_);
    std::string why(error.description());
    std::replace_if(
        why.begin(), why.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    const std::string key = key_on_line(lines, line);
    if (!key.empty()) return Error{Code::invalid, reader.mistake_text(line, key, why)};
    return Error{Code::invalid, fmt::format("{}:{}: {}", reader.name_, line, why)};
  }
  return reader;
}

std::string ConfigReader::mistake_text(std::uint32_t line, const std::string& key,
                                       std::string_view why) const {
  return fmt::format("{}:{}: key '{}': {}", name_, line, printable(key), why);
}

std::uint32_t ConfigReader::line_for(const std::string& key) const {
  if (const auto entry = entries_.find(key); entry != entries_.end()) return entry->second.line;
  const auto section = sections_.find(key.substr(0, key.rfind('.')));
  return section == sections_.end() ? last_line_ : section->second;
}

void ConfigReader::reject(const std::string& key, const std::string& why) {
  const std::uint32_t line = line_for(key);
  mistakes_.push_back(Mistake{line, mistake_text(line, key, why)});
}

bool ConfigReader::has_section(const std::string& section) {
  known_.insert(section);
  return sections_.contains(section);
}

const ConfigReader::Entry* ConfigReader::find(const std::string& key, bool required) {
  known_.insert(key);
  for (auto dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1)) {
    known_.insert(key.substr(0, dot));
  }
  const auto entry = entries_.find(key);
  if (entry != entries_.end()) return &entry->second;
  if (sections_.contains(key)) {
    mistakes_.push_back(
        Mistake{sections_[key], mistake_text(sections_[key], key, "must be a value, not a table")});
  } else if (required) {
    reject(key, "is missing");
  }
  return nullptr;
}

template <class T>
const T* ConfigReader::typed(const std::string& key, bool required, std::string_view wanted) {
  const Entry* entry = find(key, required);
  if (entry == nullptr) return nullptr;
  if (const T* value = std::get_if<T>(&entry->value)) return value;
  const std::string found = std::visit(
      []<class V>(const V& value) -> std::string {
        if constexpr (std::is_same_v<V, Other>) return value.type;
        return std::string(plain_type_name<V>());
      },
      entry->value);
  reject(key, fmt::format("must be {}, not {}", wanted, found));
  return nullptr;
}

std::string ConfigReader::string(const std::string& key, std::optional<std::string> fallback) {
  const auto* text = typed<std::string>(key, !fallback, "a string");
  if (text == nullptr) return fallback.value_or("");
  if (text->empty() && !fallback) reject(key, "must not be empty");
  if (text->find_first_of(std::string_view("\0\n\r", 3)) != std::string::npos) {
    reject(key, "must be one line");
  }
  return *text;
}

bool ConfigReader::boolean(const std::string& key, std::optional<bool> fallback) {
  const auto* value = typed<bool>(key, !fallback, "true or false");
  return value != nullptr ? *value : fallback.value_or(false);
}

std::int64_t ConfigReader::integer(const std::string& key, Limits limits,
                                   std::optional<std::int64_t> fallback) {
  const auto* value = typed<std::int64_t>(key, !fallback, "an integer");
  if (value == nullptr) return fallback.value_or(limits.min);
  if (*value < limits.min || *value > limits.max) {
    reject(key, fmt::format("must be between {} and {}, not {}", limits.min, limits.max, *value));
  }
  return *value;
}

std::uint64_t ConfigReader::size(const std::string& key, std::optional<std::uint64_t> fallback) {
  const Entry* entry = find(key, !fallback);
  if (entry == nullptr) return fallback.value_or(0);
  if (const auto* number = std::get_if<std::int64_t>(&entry->value)) {
    if (*number < 0) reject(key, "must not be negative");
    return static_cast<std::uint64_t>(std::max<std::int64_t>(*number, 0));
  }
  const auto* text = typed<std::string>(key, true, "a size such as \"4MiB\"");
  if (text == nullptr) return fallback.value_or(0);
  const auto parsed = parse_size(*text);
  if (!parsed) reject(key, parsed.error().what);
  return parsed ? *parsed : fallback.value_or(0);
}

Duration ConfigReader::duration(const std::string& key, std::optional<Duration> fallback) {
  const auto* text = typed<std::string>(key, !fallback, "a duration such as \"2s\" or \"500ms\"");
  if (text == nullptr) return fallback.value_or(Duration{});
  const auto parsed = parse_duration(*text);
  if (!parsed) reject(key, parsed.error().what);
  return parsed ? *parsed : fallback.value_or(Duration{});
}

std::vector<std::string> ConfigReader::strings(const std::string& key,
                                               std::optional<std::vector<std::string>> fallback) {
  const auto* texts = typed<std::vector<std::string>>(key, !fallback, "an array of strings");
  if (texts != nullptr) return *texts;
  return fallback.value_or(std::vector<std::string>{});
}

std::string ConfigReader::choice(const std::string& key, const std::vector<std::string>& choices,
                                 std::optional<std::string> fallback) {
  const auto* text = typed<std::string>(key, !fallback, "a string");
  if (text == nullptr) return fallback.value_or("");
  if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
    reject(key, fmt::format("must be one of \"{}\", not \"{}\"", fmt::join(choices, "\", \""),
                            printable(*text)));
  }
  return *text;
}

std::uint32_t ConfigReader::octal(const std::string& key, std::optional<std::uint32_t> fallback) {
  const auto* text = typed<std::string>(key, !fallback, "an octal number such as \"0660\"");
  if (text == nullptr) return fallback.value_or(0);
  std::uint32_t number = 0;
  const char* end = text->data() + text->size();
  const auto [rest, failure] = std::from_chars(text->data(), end, number, 8);
  if (failure != std::errc() || rest != end || number > 07777) {
    reject(key, fmt::format("'{}' is not an octal mode such as \"0660\"", printable(*text)));
  }
  return number;
}

Result<> ConfigReader::finish() const {
  std::vector<Mistake> unknown;
  for (const auto& [section, line] : sections_) {
    if (known_.contains(section)) continue;
    unknown.push_back(
        Mistake{line, fmt::format("{}:{}: unknown section '{}'", name_, line, printable(section))});
  }
  for (const auto& [key, entry] : entries_) {
    if (known_.contains(key)) continue;
    unknown.push_back(Mistake{entry.line, mistake_text(entry.line, key, "is unknown")});
  }
  // A misspelt required key is both unknown and missing: the spelling is what helps.
  const auto& mistakes = unknown.empty() ? mistakes_ : unknown;
  if (mistakes.empty()) return Unit{};
  const auto by_line = [](const Mistake& a, const Mistake& b) { return a.line < b.line; };
  return Error{Code::invalid, std::min_element(mistakes.begin(), mistakes.end(), by_line)->what};
}

Result<Duration> parse_duration(std::string_view text) {
  const Error bad{Code::invalid,
                  fmt::format("'{}' is not a duration (use 500ms, 2s, 5m, 1h)", printable(text))};
  std::int64_t number = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || number < 0) return bad;
  const std::string_view unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  const std::map<std::string_view, std::int64_t> units{{"us", 1'000},
                                                       {"ms", 1'000'000},
                                                       {"s", 1'000'000'000},
                                                       {"m", 60'000'000'000},
                                                       {"h", 3'600'000'000'000}};
  const auto found = units.find(unit);
  if (found == units.end()) return bad;
  if (number > std::numeric_limits<std::int64_t>::max() / found->second) {
    return Error{Code::invalid, fmt::format("duration '{}' is too long", printable(text))};
  }
  return Duration(number * found->second);
}

}  // namespace ukai
