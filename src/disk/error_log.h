// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "ukai_host.pb.h"

namespace ukai {

/// The latest troubles with nodes, for `ukaictl errors`: a bounded ring. Safe from any thread.
class ErrorLog {
 public:
  static constexpr std::size_t entries_max = 256;

  void add(const std::string& node, const std::string& disk, const std::string& what);
  /// Newest first.
  std::vector<pb::ErrorEntry> entries() const;

 private:
  mutable std::mutex mutex_;
  std::deque<pb::ErrorEntry> entries_;  // by mutex_
};

}  // namespace ukai
