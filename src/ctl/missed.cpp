// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/missed.h"

#include <algorithm>

#include "ctl/disk_access.h"
#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

struct Asked {
  std::string missing;  ///< whose missed set was asked for
  bool answered = false;
  std::vector<BlockRange> blocks;
};

Task<Asked> ask_node(DaemonCalls& calls, pb::NodeRecord node, pb::DirtyListRequest request) {
  Asked asked;
  asked.missing = request.missed_by();
  Result<pb::DirtyListReply> reply = co_await calls.dirty_list(node, request);
  asked.answered = reply.ok();
  if (reply) {
    for (const pb::BlockSpan& span : reply->blocks()) {
      asked.blocks.push_back({BlockIndex{span.begin()}, BlockIndex{span.end()}});
    }
  }
  co_return asked;
}

Task<std::vector<Asked>> ask_all(std::vector<Task<Asked>> questions) {
  std::vector<Asked> answers = co_await gather(std::move(questions));
  co_return answers;
}

const NodeInfo* find_running(const std::vector<NodeInfo>& nodes, const std::string& id) {
  const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const NodeInfo& info) {
    return info.record.id() == id && info.alive;
  });
  return node == nodes.end() ? nullptr : &*node;
}

/// Asks for the log that each present member keeps of what `missing` lacks. False: not all of them
/// can be asked, or nobody keeps one.
bool ask_for(DaemonCalls& calls, const pb::DiskRecord& record, const std::vector<NodeInfo>& nodes,
             const std::string& missing, std::vector<Task<Asked>>& questions) {
  bool all = true;
  bool any = false;
  for (const pb::Member& member : record.members()) {
    if (member.missing()) continue;
    any = true;
    const NodeInfo* node = find_running(nodes, member.node());
    all = all && node != nullptr;
    if (node == nullptr) continue;
    pb::DirtyListRequest request;
    request.mutable_ref()->set_disk_id(record.id());
    request.mutable_ref()->set_epoch(record.epoch());
    request.set_missed_by(missing);
    questions.push_back(ask_node(calls, node->record, std::move(request)));
  }
  return any && all;
}

MissedBlocks everything(const pb::DiskRecord& record) {
  MissedBlocks all;
  all.blocks.push_back(all_blocks(record));
  return all;
}

/// Members that lack nothing, as the holder knows.
Result<> add_holders_word(Context& context, const pb::DiskRecord& record, Missed& missed) {
  auto id = DiskId::parse(record.id());
  if (!id) return id.error();
  auto holder = find_holder(context, *id);
  if (!holder) return holder.error();
  const auto status = holder_status(context, *holder, record.id());
  if (!status) return {};
  for (const pb::MemberStatus& member : status->members()) {
    const auto found = missed.find(member.node());
    if (found == missed.end() || found->second.complete || member.unknown()) continue;
    if (member.missed_blocks() == 0) found->second = MissedBlocks{};
  }
  return {};
}

}  // namespace

Result<Missed> load_missed(Context& context, const pb::DiskRecord& record,
                           const std::vector<NodeInfo>& nodes) {
  Missed missed;
  std::vector<Task<Asked>> questions;
  for (const pb::Member& member : record.members()) {
    if (!member.missing()) continue;
    missed[member.node()].complete =
        ask_for(context.calls(), record, nodes, member.node(), questions);
  }
  for (const Asked& asked : sync_wait(ask_all(std::move(questions)))) {
    MissedBlocks& lack = missed[asked.missing];
    lack.complete = lack.complete && asked.answered;
    lack.blocks.insert(lack.blocks.end(), asked.blocks.begin(), asked.blocks.end());
  }
  for (const pb::Member& member : record.members()) {
    // No log tells: another replica was declared the truth.
    if (member.missing() && member.compare_all()) missed[member.node()] = everything(record);
  }
  for (auto& [node, lack] : missed) lack.blocks = normalise(std::move(lack.blocks));
  const bool complete = std::all_of(missed.begin(), missed.end(),
                                    [](const auto& entry) { return entry.second.complete; });
  if (!complete) {
    auto asked = add_holders_word(context, record, missed);
    if (!asked) return asked.error();
  }
  return missed;
}

}  // namespace ukai::ctl
