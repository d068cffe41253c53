// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/memory_tree.h"

#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "metadata/znode_rules.h"

namespace ukai {

MemoryTree::MemoryTree() { nodes_["/"]; }

Result<Znode> MemoryTree::get(const std::string& path) const {
  auto found = nodes_.find(path);
  if (found == nodes_.end()) return znode_error(Code::not_found, path);
  return found->second;
}

Result<std::vector<std::string>> MemoryTree::children(const std::string& path) const {
  if (!nodes_.contains(path)) return znode_error(Code::not_found, path);
  const std::string prefix = path == "/" ? path : path + "/";
  std::vector<std::string> names;
  for (auto at = nodes_.upper_bound(prefix); at != nodes_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    std::string name = at->first.substr(prefix.size());
    if (name.find('/') == std::string::npos) names.push_back(std::move(name));
  }
  return names;
}

Result<MemoryTree::Touched> MemoryTree::commit(const std::vector<Op>& ops, std::int64_t session) {
  ++zxid_;
  Undo undo;
  Touched touched;
  for (const Op& op : ops) {
    if (auto done = apply(op, session, undo, touched); !done) {
      roll_back(std::move(undo));
      return done.error();
    }
  }
  return touched;
}

MemoryTree::Touched MemoryTree::end_session(std::int64_t session) {
  ++zxid_;
  std::vector<std::string> owned;
  for (const auto& [path, node] : nodes_) {
    if (node.stat.ephemeral_owner == session) owned.push_back(path);
  }
  Undo undo;
  Touched touched;
  for (const std::string& path : owned) (void)change(Op::remove(path), undo, touched);
  return touched;
}

void MemoryTree::replace_data(const std::string& path, std::string data) {
  nodes_[path].data = std::move(data);
}

std::vector<std::string> MemoryTree::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, node] : nodes_) paths.push_back(path);
  return paths;
}

Result<> MemoryTree::apply(const Op& op, std::int64_t session, Undo& undo, Touched& touched) {
  switch (op.kind) {
    case Op::Kind::create:
    case Op::Kind::create_ephemeral:
      return create(op, session, undo, touched);
    case Op::Kind::create_sequential:
      return create(numbered(op), session, undo, touched);
    default:
      return change(op, undo, touched);
  }
}

Op MemoryTree::numbered(const Op& op) {
  std::array<char, 11> digits{};
  std::snprintf(digits.data(), digits.size(), "%010u", sequences_[parent_of(op.path)]++);
  return Op::create(op.path + digits.data(), op.data);
}

Result<> MemoryTree::create(const Op& op, std::int64_t session, Undo& undo, Touched& touched) {
  if (nodes_.contains(op.path)) return znode_error(Code::exists, op.path);
  const std::string parent_path = parent_of(op.path);
  auto parent = nodes_.find(parent_path);
  if (parent == nodes_.end()) return znode_error(Code::not_found, op.path);
  if (parent->second.stat.ephemeral_owner != 0) return znode_error(Code::invalid, op.path);
  undo.emplace_back(parent_path, parent->second);
  undo.emplace_back(op.path, std::nullopt);
  ++parent->second.stat.children;
  Znode& node = nodes_[op.path];
  node.data = op.data;
  node.stat.created_zxid = zxid_;
  if (op.kind == Op::Kind::create_ephemeral) node.stat.ephemeral_owner = session;
  touched.nodes.insert(op.path);
  touched.children.insert(parent_path);
  return Unit{};
}

Result<> MemoryTree::change(const Op& op, Undo& undo, Touched& touched) {
  auto found = nodes_.find(op.path);
  if (found == nodes_.end()) return znode_error(Code::not_found, op.path);
  Znode& node = found->second;
  if (op.version != any_version && op.version != node.stat.version) {
    return znode_error(Code::stale, op.path);
  }
  if (op.kind == Op::Kind::check) return Unit{};
  if (op.kind == Op::Kind::set) {
    undo.emplace_back(op.path, node);
    node.data = op.data;
    ++node.stat.version;
    touched.nodes.insert(op.path);
    return Unit{};
  }
  if (node.stat.children > 0) return znode_error(Code::busy, op.path);
  if (op.path == "/") return znode_error(Code::invalid, op.path);
  const std::string parent_path = parent_of(op.path);
  Znode& parent = nodes_.at(parent_path);
  undo.emplace_back(parent_path, parent);
  undo.emplace_back(op.path, node);
  --parent.stat.children;
  nodes_.erase(found);
  touched.nodes.insert(op.path);
  touched.children.insert(op.path);
  touched.children.insert(parent_path);
  return Unit{};
}

void MemoryTree::roll_back(Undo undo) {
  for (auto step = undo.rbegin(); step != undo.rend(); ++step) {
    if (step->second) {
      nodes_[step->first] = std::move(*step->second);
    } else {
      nodes_.erase(step->first);
    }
  }
}

}  // namespace ukai
