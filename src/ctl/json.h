// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

/// Only the two files that make documents include this: the library is slow to compile.
namespace ukai::ctl {

/// Keys come out in the order they were set: the documents are stable, byte for byte.
using Json = nlohmann::ordered_json;

/// Grows when a documented key changes its meaning or goes; new keys do not count.
inline constexpr int json_schema = 1;

/// {"schema": 1, "kind": kind}, the start of every document (docs/ukaictl-json.md).
inline Json document(std::string_view kind) {
  Json json;
  json["schema"] = json_schema;
  json["kind"] = kind;
  return json;
}

/// Indented for people. What an operator wrote into notes need not be UTF-8.
inline std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// On one line, as part of a stream of documents.
inline std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

inline Json null_if_empty(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace ukai::ctl
