// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/znode_rules.h"

#include <algorithm>

#include "ukai/limits.h"

namespace ukai {

namespace {

/// Bytes of one step in ZooKeeper's encoding besides path and data: headers, lengths, ACL.
constexpr std::size_t step_overhead_bytes = 64;

bool bad_component(std::string_view component) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return component.empty() || component == "." || component == ".." ||
         std::any_of(component.begin(), component.end(), is_control);
}

}  // namespace

Result<> check_znode_path(std::string_view path) {
  const Error refusal{Code::invalid, "not a ZooKeeper path: \"" + std::string(path) + "\""};
  if (path == "/") return Unit{};
  if (path.empty() || path.front() != '/') return refusal;
  std::size_t begin = 1;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (bad_component(path.substr(begin, end - begin))) return refusal;
    begin = end + 1;
  }
  return Unit{};
}

Result<> check_transaction(const std::vector<Op>& ops) {
  if (ops.size() > limits::transaction_ops_max) {
    return Error{Code::invalid, "a transaction of " + std::to_string(ops.size()) +
                                    " steps is more than the " +
                                    std::to_string(limits::transaction_ops_max) + " allowed"};
  }
  std::size_t total_bytes = 0;
  for (const Op& op : ops) {
    if (auto fine = check_znode_path(op.path); !fine) return fine;
    if (op.data.size() > limits::znode_bytes_max) {
      return Error{Code::invalid, op.path + ": a record of " + std::to_string(op.data.size()) +
                                      " bytes is more than the " +
                                      std::to_string(limits::znode_bytes_max) + " allowed"};
    }
    total_bytes += op.path.size() + op.data.size() + step_overhead_bytes;
  }
  if (total_bytes > transaction_bytes_max) {
    return Error{Code::invalid, "a transaction of " + std::to_string(total_bytes) +
                                    " bytes does not fit ZooKeeper's packet of 1 MB"};
  }
  return Unit{};
}

Error znode_error(Code code, std::string_view path) {
  const std::string where(path);
  switch (code) {
    case Code::not_found:
      return {code, where + " does not exist in the metadata"};
    case Code::exists:
      return {code, where + " exists already in the metadata"};
    case Code::stale:
      return {code, where + " was changed by somebody else"};
    case Code::busy:
      return {code, where + " is not empty"};
    case Code::refused:
      return {code, "ZooKeeper does not allow this access to " + where};
    case Code::shut_down:
      return {code, "the connection to ZooKeeper is being closed"};
    case Code::unknown:
      return {code, "the connection to ZooKeeper was lost while " + where + " was changed"};
    case Code::unreachable:
      return {code, "ZooKeeper does not answer for " + where};
    default:
      return {code, "ZooKeeper refuses the request for " + where};
  }
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

}  // namespace ukai
