// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

#include "ukai/result.h"

namespace ukai {

/// A host's state folder: proves that no other ukaid of this host runs on this machine, and
/// remembers which process was the last, so that its successor may replace its marks at once.
///
/// Threads: one.
class StateFolder {
 public:
  /// Makes the folder when it is not there. busy: another process holds it (its id is named);
  /// invalid: it cannot be made, read or written.
  static Result<StateFolder> open(const std::string& path);
  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&&) = delete;
  ~StateFolder();

  /// Of the process that registered last; 0: none did, or the record is unreadable.
  std::uint64_t last_incarnation() const { return last_incarnation_; }
  /// Durably remembers our own. Errors: invalid.
  Result<> remember(std::uint64_t incarnation);

 private:
  StateFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_;  ///< descriptor of the locked file; the lock ends with it
  std::uint64_t last_incarnation_ = 0;
};

}  // namespace ukai
