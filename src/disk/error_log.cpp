// SPDX-License-Identifier: BSD-2-Clause
#include "disk/error_log.h"

#include "base/unix_time.h"

namespace ukai {

void ErrorLog::add(const std::string& node, const std::string& disk, const std::string& what) {
  pb::ErrorEntry entry;
  entry.set_unix_s(unix_now_s());
  entry.set_node(node);
  entry.set_disk(disk);
  entry.set_what(what);
  std::lock_guard lock(mutex_);
  entries_.push_front(std::move(entry));
  if (entries_.size() > entries_max) entries_.pop_back();
}

std::vector<pb::ErrorEntry> ErrorLog::entries() const {
  std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

}  // namespace ukai
