// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace ukai {

/// What went wrong, as the caller must react to it. errno, gRPC status and exit status are
/// translated from it in one file each.
enum class Code {
  invalid,      ///< bad input; repeating is useless
  not_found,    ///< what was named does not exist
  exists,       ///< what should be made is there already
  busy,         ///< in use by somebody else; may work later
  no_space,     ///< a store is full
  unreachable,  ///< no answer in time; for requests that change nothing, or surely were not applied
  unknown,      ///< no answer in time to a change: it may have been applied or not
  refused,      ///< would break a safety rule (last replica, wrong cluster, not allowed)
  stale,        ///< epoch, session or version is older than what the other side has seen
  not_admitted,  ///< the node serves this disk only after a fence
  corrupt,       ///< stored bytes do not match their checksum, or a record does not parse
  io,            ///< the device failed
  shut_down,     ///< we are stopping
};

/// The name used in logs, JSON and on the wire's status text.
std::string_view to_string(Code code);
/// The code of that name; nothing: there is none.
std::optional<Code> code_named(std::string_view name);

/// One failure: a code to react to and one clear line for a person.
struct [[nodiscard]] Error {
  Code code;
  std::string what;
};

struct Unit {};

/// A value or an Error. Never ignored.
template <class T = Unit>
class [[nodiscard]] Result {
 public:
  Result() requires std::is_same_v<T, Unit> : state_(Unit{}) {}
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() {
    assert(ok());
    return std::get<0>(state_);
  }
  const T& value() const {
    assert(ok());
    return std::get<0>(state_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    assert(!ok());
    return std::get<1>(state_);
  }
  Code code() const { return error().code; }
  /// True when this failed with `code`.
  bool failed_with(Code code) const { return !ok() && error().code == code; }

 private:
  std::variant<T, Error> state_;
};

}  // namespace ukai
