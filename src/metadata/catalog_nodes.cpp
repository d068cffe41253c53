// SPDX-License-Identifier: BSD-2-Clause
//
// Nodes, hosts, and the orders to delete that wait for nodes.
#include <algorithm>
#include <utility>

#include "metadata/catalog_io.h"
#include "metadata/catalog_paths.h"
#include "ukai/catalog.h"
#include "ukai/geometry.h"
#include "ukai/limits.h"

namespace ukai {

namespace {

Error contended(const std::string& path) {
  return {Code::stale, path + " is changed by others again and again"};
}

/// How long another's ephemeral may outlive its process: the server notices in steps.
Duration patience(const Coordination& coordination) {
  const std::chrono::milliseconds timeout(coordination.session_timeout_ms());
  return timeout + timeout / 4;
}

/// One line of nodes(): what is damaged is said, and spoils nothing else.
Task<Result<NodeInfo>> node_line(Catalog& catalog, NodeId id) {
  auto info = co_await catalog.node(id);
  if (!info.failed_with(Code::corrupt)) co_return info;
  NodeInfo damaged;
  damaged.record.set_id(id.str());
  damaged.damage = info.error().what;
  co_return damaged;
}

Task<Result<pb::HostRecord>> host_line(Catalog& catalog, HostId id) {
  auto record = co_await catalog.host(id);
  if (!record.failed_with(Code::corrupt)) co_return record;
  pb::HostRecord damaged;
  damaged.set_id(id.str());
  co_return damaged;
}

bool is_key_of(const std::string& key, const pb::TrashRecord& order) {
  const bool whole = order.blocks().empty() && !order.has_versions();
  if (whole) return key == order.disk_id();
  return key.starts_with(order.disk_id() + "-");
}

Task<Result<Catalog::Trash>> trash_line(Coordination& coordination, std::string folder,
                                        std::string key) {
  const std::string path = folder + "/" + key;
  Catalog::Trash line;
  line.key = std::move(key);
  auto order = co_await load_record<pb::TrashRecord>(coordination, path);
  if (order.ok() && !is_key_of(line.key, order->record)) {
    // To obey it could delete a disk that is in use.
    order = detail::corrupt_record(path, "is about disk " + order->record.disk_id());
  }
  if (order.failed_with(Code::corrupt)) {
    line.damage = order.error().what;
    co_return line;
  }
  if (!order) co_return order.error();
  line.record = std::move(order->record);
  co_return line;
}

/// The lines that are (still) there, or the first real error.
template <class Line>
Result<std::vector<Line>> present_lines(std::vector<Result<Line>> lines) {
  std::vector<Line> out;
  for (auto& line : lines) {
    if (line.failed_with(Code::not_found)) continue;
    if (!line) return line.error();
    out.push_back(std::move(*line));
  }
  return out;
}

}  // namespace

// -- nodes

Task<Result<>> Catalog::register_node(pb::NodeRecord record, pb::NodeAlive alive) {
  const NodeId id(record.id());
  const std::string path = node_path(id);
  alive.set_op(new_operation());
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    auto former = co_await find_record<pb::NodeRecord>(coordination_, path);
    if (!former) co_return former.error();
    if (*former && (*former)->record.store_id() != record.store_id()) {
      co_return Error{Code::refused, "node \"" + id.str() +
                                         "\" is registered with another data "
                                         "folder (store " +
                                         (*former)->record.store_id() + ")"};
    }
    auto mark = co_await coordination_.get(alive_path(id));
    if (!mark && !mark.failed_with(Code::not_found)) co_return mark.error();

    // The record's version guards the mark as well, whose own starts at 0 with each process.
    std::vector<Op> ops;
    if (*former) {
      record.set_admin_state((*former)->record.admin_state());
      ops.push_back(Op::set(path, encode_record(record), (*former)->stat.version));
    } else {
      ops.push_back(Op::create(path, encode_record(record)));
      ops.push_back(Op::create(trash_path(id), ""));
    }
    if (mark.ok()) ops.push_back(Op::remove(alive_path(id)));
    ops.push_back(Op::create_ephemeral(alive_path(id), encode_record(alive)));
    Probe probe{&mark_has_op<pb::NodeAlive>, alive_path(id), alive.op()};
    auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
    if (done.ok() || !lost_race(done)) co_return done;
  }
  co_return contended(path);
}

Task<Result<>> Catalog::remove_node(NodeId node) {
  const std::string path = node_path(node);
  auto orders = co_await coordination_.children(trash_path(node));
  if (!orders && !orders.failed_with(Code::not_found)) co_return orders.error();
  std::vector<Op> ops;
  if (orders.ok()) {
    for (const std::string& key : *orders) ops.push_back(Op::remove(trash_path(node) + "/" + key));
    ops.push_back(Op::remove(trash_path(node)));
  }
  ops.push_back(Op::remove(path));  // busy while its mark is there
  Probe probe{&path_is_gone, path, ""};
  pb::EventRecord event;
  event.set_what("node_removed");
  event.set_node(node.str());
  std::vector<pb::EventRecord> events{event};
  auto done = co_await commit_told(std::move(ops), std::move(probe), std::move(events));
  if (done.failed_with(Code::busy)) {
    co_return Error{Code::busy, "node \"" + node.str() + "\" is running"};
  }
  co_return done;
}

Task<Result<>> Catalog::set_admin_state(NodeId node, std::string state) {
  const std::string path = node_path(node);
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    auto found = co_await load_record<pb::NodeRecord>(coordination_, path);
    if (found.failed_with(Code::not_found)) {
      co_return Error{Code::not_found, "there is no node named '" + node.str() + "'"};
    }
    if (!found) co_return found.error();
    if (found->record.admin_state() == state) co_return Unit{};
    found->record.set_admin_state(state);
    std::vector<Op> ops{Op::set(path, encode_record(found->record), found->stat.version)};
    auto done = co_await coordination_.commit(std::move(ops));
    // A lost answer needs no care: the next round sees whether it is so.
    if (done.ok() || !(lost_race(done) || done.failed_with(Code::unknown))) co_return done;
  }
  co_return Error{Code::stale, "node " + node.str() + " is changed by others again and again"};
}

Task<Result<>> Catalog::refresh_node_alive(NodeId node, pb::NodeAlive alive) {
  const std::string path = alive_path(node);
  auto mark = co_await coordination_.get(path);
  if (!mark && !mark.failed_with(Code::not_found)) co_return mark.error();
  if (!mark || mark->stat.ephemeral_owner != coordination_.session_id()) {
    co_return Error{Code::stale, "node \"" + node.str() + "\" is not registered by this session"};
  }
  std::vector<Op> ops{Op::set(path, encode_record(alive), mark->stat.version)};
  // Repeated now and then, and nothing depends on one of them: no read-back.
  co_return co_await coordination_.commit(std::move(ops));
}

Task<Result<NodeInfo>> Catalog::node(NodeId id) {
  auto record = co_await load_record<pb::NodeRecord>(coordination_, node_path(id));
  if (record.failed_with(Code::not_found)) {
    co_return Error{Code::not_found, "there is no node \"" + id.str() + "\""};
  }
  if (!record) co_return record.error();
  if (record->record.id() != id.str()) {
    co_return detail::corrupt_record(node_path(id), "is of node \"" + record->record.id() + "\"");
  }
  auto alive = co_await find_record<pb::NodeAlive>(coordination_, alive_path(id));
  if (!alive) co_return alive.error();
  NodeInfo info;
  info.record = std::move(record->record);
  if (*alive) info.alive = std::move((*alive)->record);
  co_return info;
}

Task<Result<std::vector<NodeInfo>>> Catalog::nodes() {
  auto ids = co_await coordination_.children(nodes_path());
  if (!ids) co_return ids.error();
  std::sort(ids->begin(), ids->end());
  std::vector<Task<Result<NodeInfo>>> tasks;
  for (const std::string& id : *ids) tasks.push_back(node_line(*this, NodeId(id)));
  auto lines = co_await gather(std::move(tasks));
  co_return present_lines(std::move(lines));
}

// -- hosts

Task<Result<>> Catalog::register_host(pb::HostRecord record, bool take_over) {
  const HostId id(record.id());
  const std::string path = host_path(id);
  record.set_op(new_operation());
  TimePoint give_up = TimePoint::max();
  for (;;) {
    auto former = co_await coordination_.get(path);
    if (!former && !former.failed_with(Code::not_found)) co_return former.error();
    if (give_up == TimePoint::max()) give_up = scheduler_.now() + patience(coordination_);
    Result<pb::HostRecord> other = pb::HostRecord();
    if (former.ok()) other = decode_record<pb::HostRecord>(path, former->data);
    const bool same = other.ok() && other->incarnation() == record.incarnation();
    if (!former || same || take_over) {
      std::vector<Op> ops;
      if (former.ok()) ops.push_back(Op::remove(path, former->stat.version));
      ops.push_back(Op::create_ephemeral(path, encode_record(record)));
      Probe probe{&mark_has_op<pb::HostRecord>, path, record.op()};
      auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
      if (done.ok() || !lost_race(done)) co_return done;
    }
    if (scheduler_.now() >= give_up) {
      const std::string where = other.ok() ? other->control_address() : "an unknown address";
      co_return Error{Code::busy, "another host \"" + id.str() + "\" is running at " + where};
    }
    co_await sleep_for(scheduler_, limits::metadata_retry_pause);
  }
}

Task<Result<pb::HostRecord>> Catalog::host(HostId id) {
  auto loaded = co_await load_record<pb::HostRecord>(coordination_, host_path(id));
  if (loaded.failed_with(Code::not_found)) {
    co_return Error{Code::not_found, "no host \"" + id.str() + "\" is running"};
  }
  if (!loaded) co_return loaded.error();
  if (loaded->record.id() != id.str()) {
    co_return detail::corrupt_record(host_path(id), "is of host \"" + loaded->record.id() + "\"");
  }
  co_return std::move(loaded->record);
}

Task<Result<std::vector<pb::HostRecord>>> Catalog::hosts() {
  auto ids = co_await coordination_.children(hosts_path());
  if (!ids) co_return ids.error();
  std::sort(ids->begin(), ids->end());
  std::vector<Task<Result<pb::HostRecord>>> tasks;
  for (const std::string& id : *ids) tasks.push_back(host_line(*this, HostId(id)));
  auto lines = co_await gather(std::move(tasks));
  co_return present_lines(std::move(lines));
}

// -- orders to delete

Task<Result<std::vector<Catalog::Trash>>> Catalog::trash_of(NodeId node) {
  const std::string folder = trash_path(node);
  auto keys = co_await coordination_.children(folder);
  if (keys.failed_with(Code::not_found)) co_return std::vector<Trash>();
  if (!keys) co_return keys.error();
  std::sort(keys->begin(), keys->end());
  std::vector<Task<Result<Trash>>> tasks;
  for (const std::string& key : *keys) tasks.push_back(trash_line(coordination_, folder, key));
  auto lines = co_await gather(std::move(tasks));
  co_return present_lines(std::move(lines));
}

Task<Result<>> Catalog::nothing_to_delete(DiskId disk, std::vector<NodeId> nodes) {
  for (const NodeId& node : nodes) {
    auto orders = co_await trash_of(node);
    if (!orders) co_return orders.error();
    for (const Trash& order : *orders) {
      if (order.record.disk_id() != disk.to_string()) continue;
      co_return Error{Code::busy, "node " + node.str() +
                                      " has still to delete what it held of this disk; try again "
                                      "in a moment"};
    }
  }
  co_return Unit{};
}

Task<Result<>> Catalog::nothing_to_delete_beyond(pb::DiskRecord record) {
  const std::uint64_t end = Geometry{record.size(), record.block_size()}.block_count();
  for (const pb::Member& member : record.members()) {
    auto orders = co_await trash_of(NodeId(member.node()));
    if (!orders) co_return orders.error();
    for (const Trash& order : *orders) {
      const auto& blocks = order.record.blocks();
      const bool beyond =
          std::any_of(blocks.begin(), blocks.end(),
                      [&](const pb::TrashBlocks& some) { return some.end() > end; });
      if (order.record.disk_id() != record.id() || !beyond) continue;
      co_return Error{Code::busy, "node " + member.node() +
                                      " has still to delete what was cut off this disk; try again "
                                      "when it has"};
    }
  }
  co_return Unit{};
}

Task<Result<>> Catalog::release_trash(NodeId node, std::string key, Sequence last) {
  const std::string path = trash_path(node) + "/" + key;
  auto order = co_await load_record<pb::TrashRecord>(coordination_, path);
  if (order.failed_with(Code::not_found)) co_return Unit{};
  if (!order) co_return order.error();
  order->record.set_released(true);
  order->record.set_sequence(raw(last));
  // Under another name: the node watches for what comes and goes.
  const std::string released = path + "-r";
  std::vector<Op> ops;
  ops.push_back(Op::remove(path));
  ops.push_back(Op::create(released, encode_record(order->record)));
  Probe probe{&path_is_gone, path, ""};
  auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
  if (done.failed_with(Code::not_found)) co_return Unit{};
  co_return done;
}

Task<Result<>> Catalog::remove_trash(NodeId node, std::string key) {
  const std::string path = trash_path(node) + "/" + key;
  std::vector<Op> ops{Op::remove(path)};
  Probe probe{&path_is_gone, path, ""};
  auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
  if (done.failed_with(Code::not_found)) co_return Unit{};
  co_return done;
}

}  // namespace ukai
