// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "base/unix_time.h"
#include "ctl/commands.h"
#include "ctl/holdings.h"
#include "ctl/lay_out.h"
#include "ctl/lookup.h"
#include "ctl/rebuild_view.h"
#include "ctl/table.h"
#include "metadata/records.h"

namespace ukai::ctl {
namespace {

/// An empty tree for a cluster that was there before, so that its nodes start again.
Result<> lay_out_cluster(Context& context, const std::string& id) {
  if (!DiskId::parse(id)) {
    return Error{Code::invalid,
                 "a cluster's id has 32 hexadecimal digits; it is in the file "
                 "'ukai-store' of each node's data folder"};
  }
  pb::ClusterRecord cluster;
  cluster.set_id(id);
  cluster.set_created_unix_s(unix_now_s());
  std::vector<DumpRecord> records{{"/ukai", ""}};
  for (const char* folder : {"nodes", "hosts", "names", "disks", "events"}) {
    records.push_back({fmt::format("/ukai/{}", folder), ""});
  }
  records.push_back({"/ukai/cluster", encode_record(cluster)});
  auto connected = context.connect(true);
  if (!connected) return connected.error();
  auto done = lay_out(context, std::move(records));
  if (!done) return done;
  context.print(context.json() ? rebuild_json(Rebuild())
                               : fmt::format("the tree of cluster {} is there; start its nodes, "
                                             "then ask for a proposal\n",
                                             id));
  return {};
}

/// Ids that the metadata know: disks, and those whose data are to be deleted.
Result<std::set<std::string>> known_ids(Context& context) {
  Coordination& coordination = context.catalog().coordination();
  auto disks = context.ask(coordination.children("/ukai/disks"));
  if (!disks) return disks.error();
  std::set<std::string> known(disks->begin(), disks->end());
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  for (const NodeInfo& node : *nodes) {
    auto trash = context.ask(context.catalog().trash_of(NodeId(node.record.id())));
    if (!trash) return trash.error();
    for (const Catalog::Trash& order : *trash) known.insert(order.record.disk_id());
  }
  return known;
}

Result<Rebuild> make_plan(Context& context) {
  auto names = load_names(context);
  if (!names) return names.error();
  std::set<std::string> taken;
  for (const DiskName& name : *names) taken.insert(name.str());
  auto known = known_ids(context);
  if (!known) return known.error();
  auto holdings = load_holdings(context, *known);
  if (!holdings) return holdings.error();
  Rebuild plan;
  for (const auto& [id, nodes] : *holdings) {
    auto disk = propose(id, nodes, taken);
    if (!disk) {
      plan.hopeless.push_back({id, disk.error().what});
      continue;
    }
    taken.insert(disk->record.name());
    plan.disks.push_back(std::move(*disk));
  }
  return plan;
}

Result<> check_silent(const Rebuild& plan, bool accept_loss) {
  for (const Proposal& disk : plan.disks) {
    if (disk.silent.empty() || accept_loss) continue;
    return Error{Code::refused,
                 fmt::format("disk {}: node {} has a replica and does not run; start it, or say "
                             "--accept-loss if it is gone for good",
                             disk.record.name(), join(disk.silent, ", "))};
  }
  return {};
}

}  // namespace

Result<> metadata_rebuild(Context& context, const RebuildOptions& options) {
  // 1. What do the nodes hold?
  if (!options.cluster.empty()) return lay_out_cluster(context, options.cluster);
  auto connected = context.connect();
  if (!connected) return connected.error();
  auto plan = make_plan(context);
  if (!plan) return plan.error();

  // 2. Each disk in one transaction. Nothing that is known is touched, so that this may be
  // repeated.
  if (options.apply) {
    auto complete = check_silent(*plan, options.accept_loss);
    if (!complete) return complete;
    for (const Proposal& disk : plan->disks) {
      pb::DiskRecord record = disk.record;
      record.set_created_unix_s(unix_now_s());
      auto created = context.ask(context.catalog().create_disk(record, disk.segments));
      if (!created) return created;
    }
    pb::EventRecord event;
    event.set_what("metadata_rebuilt");
    event.set_text(count_of(plan->disks.size(), "disk"));
    auto told = context.ask(context.catalog().add_event(event));
    if (!told) return told;
    plan->applied = true;
  }
  context.print(context.json() ? rebuild_json(*plan) : rebuild_text(*plan));
  return {};
}

}  // namespace ukai::ctl
