// SPDX-License-Identifier: BSD-2-Clause
//
// sync, replicate, relocate and node drain: jobs that are worked out here and run by a host.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "ctl/commands.h"
#include "ctl/create_plan.h"
#include "ctl/job_view.h"
#include "ctl/jobs.h"
#include "ctl/locations.h"
#include "ctl/lookup.h"
#include "ctl/move_plan.h"
#include "ctl/table.h"
#include "ukai/location_change.h"

namespace ukai::ctl {
namespace {

/// How long it may take: by the rate, or as fast as the last job that moved anything.
std::optional<std::uint64_t> estimate(Context& context, const MovePlan& plan, std::uint64_t rate) {
  std::uint64_t bytes = 0;
  for (const PlannedMove& move : plan.moves) bytes += move.bytes_max;
  if (rate > 0) return bytes / rate;
  auto jobs = context.ask(context.jobs().of_disk(*DiskId::parse(plan.disk.id())));
  if (!jobs) return std::nullopt;
  for (auto job = jobs->rbegin(); job != jobs->rend(); ++job) {
    const pb::JobRecord& record = job->record;
    const std::uint64_t took = record.ended_unix_s() - record.started_unix_s();
    if (record.state() != pb::JobRecord::DONE || record.bytes_moved() == 0 || took == 0) continue;
    return static_cast<std::uint64_t>(static_cast<double>(bytes) * static_cast<double>(took) /
                                      static_cast<double>(record.bytes_moved()));
  }
  return std::nullopt;
}

JobRequest request_of(Context& context, const MovePlan& plan, pb::JobRecord::Kind kind,
                      std::uint64_t rate) {
  JobRequest request = job_request(context, plan.disk, rate);
  request.job.set_kind(kind);
  for (const PlannedMove& move : plan.moves) *request.job.add_moves() = move.move;
  return request;
}

/// What one disk needs: moves that nobody does, and the jobs that do the others.
struct DiskWork {
  MovePlan plan;
  std::vector<JobEntry> under_way;

  bool empty() const { return plan.moves.empty() && under_way.empty(); }
};

/// May the disk have all of these locations together?
Result<> check_moves(pb::DiskRecord record, std::vector<pb::MapSegment> segments,
                     const std::vector<PlannedMove>& moves) {
  for (const PlannedMove& planned : moves) {
    LocationsWanted wanted;
    wanted.nodes = {NodeId(planned.move.to())};
    wanted.blocks = {BlockIndex{planned.move.begin()}, BlockIndex{planned.move.end()}};
    wanted.where = NodeId(planned.move.from());
    auto changed = add_locations(std::move(record), segments, wanted);
    if (!changed) return changed.error();
    record = std::move(changed->record);
    for (pb::MapSegment& segment : changed->segments) {
      const auto old = std::find_if(segments.begin(), segments.end(), [&](const auto& other) {
        return other.segment() == segment.segment();
      });
      *old = std::move(segment);
    }
  }
  return {};
}

/// Puts into the wish what earlier jobs of the disk have done of it; returns those that go on.
Result<std::vector<JobEntry>> note_jobs(Context& context, DiskId disk, MoveWish& wish) {
  auto jobs = context.ask(context.jobs().of_disk(disk));
  if (!jobs) return jobs.error();
  std::vector<JobEntry> out;
  for (JobEntry& job : *jobs) {
    const bool active = goes_on(job.record);
    bool concerns = false;
    for (const pb::JobMove& move : job.record.moves()) {
      if (job.record.state() == pb::JobRecord::DONE || !serves(move, wish)) continue;
      (active ? wish.under_way : wish.left_lying).push_back(move);
      concerns = true;
    }
    if (active && concerns) out.push_back(std::move(job));
  }
  return out;
}

/// What one disk needs, worked out and found possible.
Result<DiskWork> plan_disk(Context& context, const std::string& name, MoveWish wish,
                           const std::string& blocks) {
  auto entry = load_disk(context, name);
  if (!entry) return entry.error();
  const pb::DiskRecord& record = entry->record;
  auto range = blocks_typed(blocks, record);
  if (!range) return range.error();
  wish.blocks = *range;
  // Before the map: what a job has done when it ends is in there.
  auto jobs = note_jobs(context, *DiskId::parse(record.id()), wish);
  if (!jobs) return jobs.error();
  auto segments = load_map(context, record, all_blocks(record));
  if (!segments) return segments.error();
  auto plan = plan_moves(record, *segments, wish);
  if (!plan) return plan.error();
  auto possible = check_moves(record, std::move(*segments), plan->moves);
  if (!possible) return possible.error();
  return DiskWork{std::move(*plan), std::move(*jobs)};
}

/// Says of a job that it is done.
TellDone teller(Context& context, std::string_view kind) {
  return [&context, kind](const pb::JobRecord& job) {
    if (context.json()) return context.print_now(job_end_json(kind, job));
    const bool sync = job.kind() == pb::JobRecord::SYNC;
    context.print(fmt::format("disk {}{}: {} {}, {} moved\n", job.disk_name(),
                              sync ? " is in sync" : "", count_of(job.replicas_done(), "block"),
                              sync ? "healed" : "copied", format_size(job.bytes_moved())));
  };
}

/// What is to be done with all of the disks together.
struct Undertaking {
  std::string_view kind;  ///< of the documents
  pb::JobRecord::Kind type;
  const MoveTermsTyped& typed;
  std::uint64_t rate = 0;
  std::string part_of{};
};

Result<> show(Context& context, std::vector<DiskWork> works, std::uint64_t rate) {
  std::vector<MovePlan> plans;
  for (DiskWork& work : works) {
    work.plan.seconds = estimate(context, work.plan, rate);
    plans.push_back(std::move(work.plan));
  }
  context.print(context.json() ? plan_json(plans) : plan_text(plans));
  return {};
}

/// Asks for the jobs, and waits for them and those that are under way.
Result<> carry_out(Context& context, const Undertaking& what, std::vector<DiskWork> works) {
  std::vector<JobEntry> joined;
  std::vector<JobRequest> requests;
  for (DiskWork& work : works) {
    if (work.empty() && context.json()) {
      context.print_now(no_job_json(what.kind, work.plan.disk.name()));
    }
    std::move(work.under_way.begin(), work.under_way.end(), std::back_inserter(joined));
    if (work.plan.moves.empty()) continue;
    requests.push_back(request_of(context, work.plan, what.type, what.rate));
    requests.back().job.set_part_of(what.part_of);
  }
  if (requests.empty() && joined.empty()) {
    if (!context.json()) context.print("nothing to change\n");
    return {};
  }
  return run_jobs(context, {what.kind, what.typed.detach}, std::move(joined), std::move(requests),
                  teller(context, what.kind));
}

Result<> check_known(const std::vector<NodeInfo>& nodes, const std::string& id) {
  const bool known = std::any_of(nodes.begin(), nodes.end(),
                                 [&](const NodeInfo& node) { return node.record.id() == id; });
  if (known) return {};
  return Error{Code::not_found, fmt::format("there is no node named '{}'", id)};
}

/// Who is to take what leaves `from` (empty: what is copied), by name or selector.
Result<MoveWish> resolve_wish(Context& context, const std::string& from,
                              const std::vector<std::string>& to) {
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  MoveWish wish;
  if (!from.empty()) {
    auto known = check_known(*nodes, from);
    if (!known) return known.error();
    wish.from = NodeId(from);
  }
  auto targets = resolve_targets(to, *nodes);
  if (!targets) return targets.error();
  wish.to = std::move(*targets);
  std::erase_if(wish.to.nodes, [&](const Target& target) { return target.node == wish.from; });
  if (wish.to.nodes.empty()) {
    return Error{Code::not_found, fmt::format("no other node than {} matches --to", from)};
  }
  wish.share = wish.to.selected || (!from.empty() && wish.to.nodes.size() > 1);
  return wish;
}

Result<> move_disks(Context& context, const MoveOptions& options, pb::JobRecord::Kind type) {
  const bool relocates = type == pb::JobRecord::RELOCATE;
  auto to = split_list(options.to, "--to");
  if (!to) return to.error();
  auto rate = parse_rate(options.terms.rate);
  if (!rate) return rate.error();
  if (relocates && std::find(to->begin(), to->end(), options.from) != to->end()) {
    return Error{Code::invalid, "--from and --to name the same node"};
  }
  auto wish = resolve_wish(context, options.from, *to);
  if (!wish) return wish.error();
  std::vector<DiskWork> works;
  std::set<std::string> seen;
  for (const std::string& name : options.names) {
    if (!seen.insert(name).second) continue;
    auto work = plan_disk(context, name, *wish, options.blocks);
    if (!work) return work.error();
    works.push_back(std::move(*work));
  }
  if (options.terms.plan) return show(context, std::move(works), *rate);
  return carry_out(context, {relocates ? "relocate" : "replicate", type, options.terms, *rate},
                   std::move(works));
}

/// How many replicas of the blocks a sync would bring in sync now, as the map says.
Result<> plan_sync(Context& context, const pb::DiskRecord& record, BlockRange blocks,
                   std::uint64_t rate) {
  auto segments = load_map(context, record, blocks);
  if (!segments) return segments.error();
  MovePlan plan;
  plan.disk = record;
  std::map<std::string, PlannedMove> by_node;
  for (const pb::MapSegment& segment : *segments) {
    const MapSegmentView view(segment);
    const BlockIndex end = std::min(view.blocks().end, blocks.end);
    for (BlockIndex block = std::max(view.blocks().begin, blocks.begin); block < end;
         block = next(block)) {
      for (const Location& location : view.locations(block)) {
        const bool missing = std::any_of(
            record.members().begin(), record.members().end(), [&](const pb::Member& member) {
              return member.missing() && member.node() == location.node.str();
            });
        if (location.status == SyncStatus::in_sync && !missing) continue;
        PlannedMove& move = by_node[location.node.str()];
        if (move.blocks == 0) move.move.set_begin(raw(block));
        move.move.set_to(location.node.str());
        move.move.set_end(raw(block) + 1);
        move.blocks += 1;
        move.bytes_max += record.block_size();
      }
    }
  }
  for (auto& [node, move] : by_node) plan.moves.push_back(std::move(move));
  plan.seconds = estimate(context, plan, rate);
  const std::vector<MovePlan> plans{std::move(plan)};
  context.print(context.json() ? plan_json(plans) : plan_text(plans));
  return {};
}

Result<> sync_blocks(Context& context, const pb::DiskRecord& record, BlockRange blocks,
                     const MoveTermsTyped& terms) {
  auto rate = parse_rate(terms.rate);
  if (!rate) return rate.error();
  if (terms.plan) return plan_sync(context, record, blocks, *rate);
  JobRequest request = job_request(context, record, *rate);
  request.job.set_kind(pb::JobRecord::SYNC);
  const BlockRange all = all_blocks(record);
  request.job.set_begin(raw(blocks.begin));
  request.job.set_end(blocks.end == all.end ? 0 : raw(blocks.end));
  std::vector<JobRequest> requests;
  requests.push_back(std::move(request));
  return run_jobs(context, {"sync", terms.detach}, {}, std::move(requests),
                  teller(context, "sync"));
}

// -- drain

constexpr int drain_rounds_max = 3;  // while others put blocks there that did not know of it

/// All disks that have blocks on the node.
Result<std::vector<DiskWork>> plan_drain(Context& context, const MoveWish& wish) {
  auto names = load_names(context);
  if (!names) return names.error();
  std::vector<DiskWork> out;
  for (const DiskName& name : *names) {
    auto work = plan_disk(context, name.str(), wish, "");
    if (work.failed_with(Code::not_found)) continue;  // deleted meanwhile
    if (!work) return work.error();
    if (!work->empty()) out.push_back(std::move(*work));
  }
  return out;
}

Result<> drain(Context& context, const Undertaking& what, const MoveWish& wish) {
  // 1. All of it must be possible before anything is begun.
  auto works = plan_drain(context, wish);
  if (!works) return works.error();
  if (what.typed.plan) return show(context, std::move(*works), what.rate);
  if (!works->empty()) {
    auto possible = check_hosts(context, works->front().plan.disk.name());
    if (!possible) return possible;
  }
  // 2. From now on nothing is put there; what came until now moves as well.
  auto marked = context.ask(context.catalog().set_admin_state(wish.from, "draining"));
  if (!marked) return marked.error();
  for (int round = 0; round < drain_rounds_max; ++round) {
    works = plan_drain(context, wish);
    if (!works) return works.error();
    if (works->empty()) break;
    auto done = carry_out(context, what, std::move(*works));
    if (!done || what.typed.detach) return done;
  }
  // 3. The map says whether it is empty.
  works = plan_drain(context, wish);
  if (!works) return works.error();
  if (!works->empty()) {
    return Error{Code::busy,
                 fmt::format("node {} is not empty yet: disk {} has blocks there; drain it again",
                             wish.from.str(), works->front().plan.disk.name())};
  }
  if (!context.json()) context.print(fmt::format("node {} is empty\n", wish.from.str()));
  return {};
}

}  // namespace

Result<> sync_disk(Context& context, const SyncOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  auto blocks = blocks_typed(options.blocks, entry->record);
  if (!blocks) return blocks.error();
  return sync_blocks(context, entry->record, *blocks, options.terms);
}

Result<> synchronize(Context& context, const SynchronizeOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  const auto last = static_cast<std::int64_t>(all_blocks(entry->record).count()) - 1;
  const std::int64_t end = options.end == -1 ? last : options.end;
  if (options.start < 0 || options.start > last || end < 0 || end > last) {
    return Error{Code::invalid, fmt::format("Block index out of range (must be 0 to {})", last)};
  }
  if (end < options.start) {
    return Error{Code::invalid, "END_BLOCK must be greater or equal to START_BLOCK"};
  }
  const BlockRange blocks{BlockIndex{static_cast<std::uint64_t>(options.start)},
                          BlockIndex{static_cast<std::uint64_t>(end) + 1}};
  return sync_blocks(context, entry->record, blocks, MoveTermsTyped());
}

Result<> replicate(Context& context, const MoveOptions& options) {
  return move_disks(context, options, pb::JobRecord::REPLICATE);
}

Result<> relocate(Context& context, const MoveOptions& options) {
  return move_disks(context, options, pb::JobRecord::RELOCATE);
}

Result<> node_drain(Context& context, const DrainOptions& options) {
  const NodeId from(options.node);
  if (options.stop) return context.ask(context.catalog().set_admin_state(from, "active"));
  if (options.to.empty()) return Error{Code::invalid, "say --to which nodes, or --stop"};
  auto to = split_list(options.to, "--to");
  if (!to) return to.error();
  auto rate = parse_rate(options.terms.rate);
  if (!rate) return rate.error();
  if (std::find(to->begin(), to->end(), options.node) != to->end()) {
    return Error{Code::invalid, "a node cannot be drained to itself"};
  }
  auto wish = resolve_wish(context, options.node, *to);
  if (!wish) return wish.error();
  wish->share = true;
  return drain(context,
               {"drain", pb::JobRecord::RELOCATE, options.terms, *rate, "drain " + options.node},
               *wish);
}

}  // namespace ukai::ctl
