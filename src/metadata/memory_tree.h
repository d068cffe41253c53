// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ukai/coordination.h"

namespace ukai {

/// ZooKeeper's data model as a value: no sessions' lives, no time, no locks.
class MemoryTree {
 public:
  MemoryTree();

  /// What a transaction touched, for watches.
  struct Touched {
    std::set<std::string> nodes;     ///< data or existence changed
    std::set<std::string> children;  ///< list of children changed
  };

  Result<Znode> get(const std::string& path) const;
  Result<std::vector<std::string>> children(const std::string& path) const;  ///< sorted
  /// All or none. `session` owns the ephemerals it creates.
  Result<Touched> commit(const std::vector<Op>& ops, std::int64_t session);
  /// Removes all that `session` owns.
  Touched end_session(std::int64_t session);

  void replace_data(const std::string& path, std::string data);
  std::vector<std::string> paths() const;

 private:
  using Nodes = std::map<std::string, Znode>;
  /// What `path` was before a transaction; no value: it was not there.
  using Undo = std::vector<std::pair<std::string, std::optional<Znode>>>;

  Result<> apply(const Op& op, std::int64_t session, Undo& undo, Touched& touched);
  /// A sequential creation as the one of the name that it gets.
  Op numbered(const Op& op);
  Result<> create(const Op& op, std::int64_t session, Undo& undo, Touched& touched);
  Result<> change(const Op& op, Undo& undo, Touched& touched);
  void roll_back(Undo undo);

  Nodes nodes_;
  std::map<std::string, std::uint32_t> sequences_;  ///< next number, by parent; never goes back
  std::int64_t zxid_ = 0;
};

}  // namespace ukai
