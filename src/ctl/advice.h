// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/cluster_state.h"
#include "ctl/heat.h"
#include "ctl/map_rows.h"

/// What an operator could make of a disk's placement and its use; no I/O, and proposals only
/// (rule 7).
namespace ukai::ctl {

enum class Concern {
  distance,  ///< blocks are read from afar
  safety,    ///< blocks have few replicas in sync, or all of them at one site
  node,      ///< a node that has blocks is in a bad way
};
std::string to_string(Concern concern);

/// One thing that an operator could do about a disk.
struct Advice {
  Concern concern = Concern::node;
  std::string what;
  std::string command;  ///< whole, with real names; empty: there is none that does it alone
};

/// What is known of the disk.
struct DiskFacts {
  std::string name;
  std::uint64_t blocks = 0;
  std::uint64_t block_size_bytes = 0;
  std::vector<MapRow> rows;  ///< in order, without gaps
  std::vector<HostHeat> heats;
  std::vector<NodeInfo> nodes;
  std::vector<HostAnswer> hosts;  ///< for the latencies that they measure
};

/// In the order of distance, safety, node.
/// - distance: a stretch of blocks that a host often reads, which some node nearer to it by site
///   could hold. Reads only: a replica nearby makes no write faster, as all are written.
/// - safety: stretches with one replica in sync, or with all of them at one site.
/// - node: down, being drained, nearly full.
/// Targets are nodes that are up, not drained, and have room.
std::vector<Advice> advise(const DiskFacts& facts);

std::string advice_text(const DiskFacts& facts, const std::vector<Advice>& advices);
std::string advice_json(const DiskFacts& facts, const std::vector<Advice>& advices);

}  // namespace ukai::ctl
