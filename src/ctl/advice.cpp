// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "ctl/json.h"
#include "ctl/takers.h"
#include "ctl/topology.h"
#include "ukai/site_path.h"

namespace ukai::ctl {
namespace {

constexpr std::uint64_t busy_reads = 100;  // below that nothing is said of a stretch
constexpr std::uint64_t busy_percent = 5;  // of what the host reads
constexpr std::size_t stretches_shown = 3;

using Nodes = std::map<std::string, const NodeInfo*>;

Nodes by_id(const std::vector<NodeInfo>& nodes) {
  Nodes out;
  for (const NodeInfo& node : nodes) out[node.record.id()] = &node;
  return out;
}

/// Calls `visit` with the replicas of each kind of block there is within the range.
template <class Visit>
void each_replicas(const DiskFacts& facts, BlockRange blocks, const Visit& visit) {
  for (const MapRow& row : facts.rows) {
    if (row.blocks.end <= blocks.begin || row.blocks.begin >= blocks.end) continue;
    for (const Replicas& replicas : row.cycle) visit(replicas);
  }
}

std::string command_for(const DiskFacts& facts, BlockRange blocks, const NodeInfo* taker) {
  if (taker == nullptr) return "";
  std::string out = fmt::format("ukaictl replicate {} --to {}", facts.name, taker->record.id());
  if (blocks.count() < facts.blocks) out += " --blocks " + blocks_text(blocks);
  return out;
}

// -- distance

/// The in-sync replica that is nearest to the site, of the block for which that is farthest.
struct Nearest {
  int depth = -1;  ///< components in common; -1: no replica
  std::string node;
};

Nearest nearest_replica(const DiskFacts& facts, const Nodes& nodes, const std::string& site,
                        BlockRange blocks) {
  std::optional<Nearest> farthest;
  each_replicas(facts, blocks, [&](const Replicas& replicas) {
    Nearest best;
    for (const Replica& replica : replicas) {
      const auto node = nodes.find(replica.node);
      if (replica.status != 'Y' || node == nodes.end()) continue;
      const int depth = common_site_depth(site, node->second->record.site());
      if (depth > best.depth) best = {depth, replica.node};
    }
    if (!farthest || best.depth < farthest->depth) farthest = best;
  });
  return farthest.value_or(Nearest());
}

const NodeInfo* nearer_taker(const DiskFacts& facts, const std::string& site, int depth,
                             std::uint64_t bytes) {
  for (int wanted = static_cast<int>(site_components(site).size()); wanted > depth; --wanted) {
    const NodeInfo* taker = roomiest(facts.nodes, bytes, [&](const NodeInfo& node) {
      return common_site_depth(site, node.record.site()) == wanted;
    });
    if (taker != nullptr) return taker;
  }
  return nullptr;
}

/// Blocks in a row that one host reads from afar.
struct FarStretch {
  BlockRange blocks;
  std::uint64_t reads = 0;
  Nearest nearest;
};

std::vector<FarStretch> far_stretches(const DiskFacts& facts, const Nodes& nodes,
                                      const HostHeat& heat) {
  std::vector<FarStretch> out;
  for (const pb::RangeCount& range : heat.ranges) {
    const BlockRange blocks = blocks_of(heat, range, facts.blocks);
    if (blocks.count() == 0 || range.reads() == 0) continue;
    const Nearest nearest = nearest_replica(facts, nodes, heat.site, blocks);
    const std::uint64_t bytes = blocks.count() * facts.block_size_bytes;
    if (nearer_taker(facts, heat.site, nearest.depth, bytes) == nullptr) continue;
    if (!out.empty() && out.back().blocks.end == blocks.begin &&
        out.back().nearest.node == nearest.node) {
      out.back().blocks.end = blocks.end;
      out.back().reads += range.reads();
    } else {
      out.push_back({blocks, range.reads(), nearest});
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const FarStretch& a, const FarStretch& b) { return a.reads > b.reads; });
  return out;
}

std::string distance_text(const DiskFacts& facts, const std::string& host,
                          const std::string& node) {
  for (const HostAnswer& answer : facts.hosts) {
    const pb::NodeLinkStatus* link = answer.record.id() == host ? link_to(answer, node) : nullptr;
    if (link != nullptr) return fmt::format("{} away", latency_text(link->latency_us()));
  }
  return "at another site";
}

void advise_distance(const DiskFacts& facts, const Nodes& nodes, std::vector<Advice>& out) {
  for (const HostHeat& heat : facts.heats) {
    if (heat.site.empty()) continue;
    std::uint64_t all = 0;
    for (const pb::RangeCount& range : heat.ranges) all += range.reads();
    std::size_t shown = 0;
    for (const FarStretch& far : far_stretches(facts, nodes, heat)) {
      if (far.reads < busy_reads || far.reads * 100 < all * busy_percent) break;
      if (++shown > stretches_shown) break;
      const std::uint64_t bytes = far.blocks.count() * facts.block_size_bytes;
      const NodeInfo* taker = nearer_taker(facts, heat.site, far.nearest.depth, bytes);
      const std::string from = far.nearest.depth < 0
                                   ? std::string("nowhere in sync")
                                   : fmt::format("nearest on node {}, {}", far.nearest.node,
                                                 distance_text(facts, heat.host, far.nearest.node));
      out.push_back(
          {Concern::distance,
           fmt::format("{}% of what host {} ({}) reads is in blocks {}, {}", far.reads * 100 / all,
                       heat.host, heat.site, blocks_text(far.blocks), from),
           command_for(facts, far.blocks, taker)});
    }
  }
}

// -- safety

enum class Weakness { none, one_site, one_replica, no_replica };

struct WeakStretch {
  BlockRange blocks;
  Weakness weakness = Weakness::none;
  std::set<std::string> nodes;  ///< with replicas in sync
  std::set<std::string> sites;  ///< of these
};

Weakness weakness_of(const Replicas& replicas, const Nodes& nodes) {
  std::set<std::string> sites;
  std::size_t in_sync = 0;
  for (const Replica& replica : replicas) {
    const auto node = nodes.find(replica.node);
    if (replica.status != 'Y' || node == nodes.end()) continue;
    ++in_sync;
    sites.insert(node->second->record.site());
  }
  if (in_sync < 2) return in_sync == 0 ? Weakness::no_replica : Weakness::one_replica;
  return sites.size() < 2 ? Weakness::one_site : Weakness::none;
}

void note_replicas(const Replicas& replicas, const Nodes& nodes, WeakStretch& stretch) {
  for (const Replica& replica : replicas) {
    stretch.nodes.insert(replica.node);  // behind or not: it has the block already
    const auto node = nodes.find(replica.node);
    if (replica.status == 'Y' && node != nodes.end())
      stretch.sites.insert(node->second->record.site());
  }
}

/// Rows of the same weakness in a row are one stretch.
std::vector<WeakStretch> weak_stretches(const DiskFacts& facts, const Nodes& nodes) {
  std::vector<WeakStretch> out;
  for (const MapRow& row : facts.rows) {
    Weakness worst = Weakness::none;
    for (const Replicas& replicas : row.cycle)
      worst = std::max(worst, weakness_of(replicas, nodes));
    const bool goes_on =
        !out.empty() && out.back().weakness == worst && out.back().blocks.end == row.blocks.begin;
    if (!goes_on) out.push_back({row.blocks, worst, {}, {}});
    out.back().blocks.end = row.blocks.end;
    for (const Replicas& replicas : row.cycle) note_replicas(replicas, nodes, out.back());
  }
  std::erase_if(out, [](const WeakStretch& one) { return one.weakness == Weakness::none; });
  std::stable_sort(out.begin(), out.end(), [](const WeakStretch& a, const WeakStretch& b) {
    return std::pair(a.weakness, a.blocks.count()) > std::pair(b.weakness, b.blocks.count());
  });
  return out;
}

/// A node elsewhere; if there is none, any other.
const NodeInfo* safer_taker(const DiskFacts& facts, const WeakStretch& weak) {
  const std::uint64_t bytes = weak.blocks.count() * facts.block_size_bytes;
  const auto new_node = [&](const NodeInfo& node) {
    return !weak.nodes.contains(node.record.id());
  };
  const NodeInfo* elsewhere = roomiest(facts.nodes, bytes, [&](const NodeInfo& node) {
    return new_node(node) && !weak.sites.contains(node.record.site());
  });
  if (elsewhere != nullptr || weak.weakness == Weakness::one_site) return elsewhere;
  return roomiest(facts.nodes, bytes, new_node);
}

std::string weakness_text(const WeakStretch& weak) {
  const std::string blocks = blocks_text(weak.blocks);
  if (weak.weakness == Weakness::no_replica) {
    return fmt::format("blocks {} have no replica in sync, or some of them: see ukaictl disk map",
                       blocks);
  }
  if (weak.weakness == Weakness::one_replica) {
    return fmt::format(
        "blocks {} have one replica in sync, or some of them: the loss of its node "
        "would be the loss of the data",
        blocks);
  }
  const std::string site = weak.sites.begin()->empty() ? "one site" : "site " + *weak.sites.begin();
  return fmt::format(
      "all replicas of blocks {} are at {}; a copy at another would survive its loss", blocks,
      weak.sites.size() == 1 ? site : "one site each");
}

void advise_safety(const DiskFacts& facts, const Nodes& nodes, std::vector<Advice>& out) {
  std::set<std::string> sites;
  for (const NodeInfo& node : facts.nodes) sites.insert(node.record.site());
  std::size_t shown = 0;
  for (const WeakStretch& weak : weak_stretches(facts, nodes)) {
    if (weak.weakness == Weakness::one_site && sites.size() < 2) continue;  // cannot be helped
    if (++shown > stretches_shown) break;
    const bool copyable = weak.weakness != Weakness::no_replica;
    const NodeInfo* taker = copyable ? safer_taker(facts, weak) : nullptr;
    out.push_back({Concern::safety, weakness_text(weak), command_for(facts, weak.blocks, taker)});
  }
}

// -- nodes

/// Bytes that each node holds of the disk, at most.
std::map<std::string, std::uint64_t> uses_of_nodes(const DiskFacts& facts) {
  std::map<std::string, std::uint64_t> out;
  for (const MapRow& row : facts.rows) {
    const std::uint64_t each = row.blocks.count() / row.cycle.size() + 1;
    for (const Replicas& replicas : row.cycle) {
      for (const Replica& replica : replicas) out[replica.node] += each * facts.block_size_bytes;
    }
  }
  return out;
}

void advise_nodes(const DiskFacts& facts, std::vector<Advice>& out) {
  const auto uses = uses_of_nodes(facts);
  for (const NodeInfo& node : facts.nodes) {
    const std::string& id = node.record.id();
    const auto use = uses.find(id);
    if (use == uses.end()) continue;
    const NodeInfo* taker = roomiest(facts.nodes, use->second, [&](const NodeInfo& other) {
      return !uses.contains(other.record.id());
    });
    const std::string to = taker == nullptr ? "" : taker->record.id();
    const auto command = [&](const std::string& text) {
      return to.empty() ? std::string() : text + to;
    };
    if (is_draining(node)) {
      out.push_back({Concern::node, fmt::format("node {} is being drained", id),
                     command(fmt::format("ukaictl node drain {} --to ", id))});
    }
    if (!node.alive) {
      out.push_back({Concern::node,
                     fmt::format("node {} is down: its replicas protect nothing now", id), ""});
    } else if (is_nearly_full(node)) {
      out.push_back({Concern::node,
                     fmt::format("node {} is nearly full: {} free of {}", id,
                                 format_size(node.alive->free_bytes()),
                                 format_size(node.record.capacity_bytes())),
                     command(fmt::format("ukaictl relocate {} --from {} --to ", facts.name, id))});
    }
  }
}

}  // namespace

std::string to_string(Concern concern) {
  switch (concern) {
    case Concern::distance:
      return "distance";
    case Concern::safety:
      return "safety";
    case Concern::node:
      return "node";
  }
  return "";
}

std::vector<Advice> advise(const DiskFacts& facts) {
  const Nodes nodes = by_id(facts.nodes);
  std::vector<Advice> out;
  advise_distance(facts, nodes, out);
  advise_safety(facts, nodes, out);
  advise_nodes(facts, out);
  return out;
}

std::string advice_text(const DiskFacts& facts, const std::vector<Advice>& advices) {
  const bool used = std::any_of(facts.heats.begin(), facts.heats.end(),
                                [](const HostHeat& heat) { return !heat.ranges.empty(); });
  std::string out;
  for (const Advice& advice : advices) {
    out += "- " + advice.what + "\n";
    if (!advice.command.empty()) out += "    " + advice.command + "\n";
  }
  if (out.empty()) out = fmt::format("nothing to propose for disk {}\n", facts.name);
  if (!used) out += "(no host has it open: nothing is known of who uses which blocks)\n";
  return out + silent_hosts_text(facts.heats);
}

std::string advice_json(const DiskFacts& facts, const std::vector<Advice>& advices) {
  Json json = document("advise");
  json["name"] = facts.name;
  json["advice"] = Json::array();
  for (const Advice& advice : advices) {
    json["advice"].push_back({{"concern", to_string(advice.concern)},
                              {"what", advice.what},
                              {"command", null_if_empty(advice.command)}});
  }
  json["silent_hosts"] = Json::array();
  for (const HostHeat& heat : facts.heats) {
    if (!heat.answered) json["silent_hosts"].push_back(heat.host);
  }
  return text_of(json);
}

}  // namespace ukai::ctl
