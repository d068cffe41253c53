// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/disk_usage.h"

#include <algorithm>
#include <optional>

namespace ukai::ctl {
namespace {

using Answer = std::optional<SpaceUsed>;

Task<Answer> ask_node(DaemonCalls& calls, pb::NodeRecord node, pb::DiskUsageRequest request) {
  Result<pb::DiskUsageReply> reply = co_await calls.disk_usage(node, request);
  if (reply.failed_with(Code::not_found)) co_return SpaceUsed{};  // nothing was written there yet
  if (!reply) co_return std::nullopt;
  const std::uint64_t used = reply->allocated_bytes();
  co_return SpaceUsed{used, std::min<std::uint64_t>(reply->shared_bytes(), used)};
}

Task<std::vector<Answer>> ask_all(std::vector<Task<Answer>> questions) {
  std::vector<Answer> answers = co_await gather(std::move(questions));
  co_return answers;
}

}  // namespace

SpaceUsed sum_of(const DiskUsage& usage) {
  SpaceUsed sum;
  for (const auto& [node, used] : usage) {
    sum.used_bytes += used.used_bytes;
    sum.shared_bytes += used.shared_bytes;
  }
  return sum;
}

DiskUsage load_usage(Context& context, const pb::DiskRecord& record,
                     const std::vector<NodeInfo>& nodes) {
  pb::DiskUsageRequest request;
  request.set_disk_id(record.id());
  std::vector<std::string> asked;
  std::vector<Task<Answer>> questions;
  for (const NodeInfo& node : nodes) {
    const bool member =
        std::any_of(record.members().begin(), record.members().end(),
                    [&](const pb::Member& one) { return one.node() == node.record.id(); });
    if (!member || !node.alive) continue;
    asked.push_back(node.record.id());
    questions.push_back(ask_node(context.calls(), node.record, request));
  }
  const auto answers = sync_wait(ask_all(std::move(questions)));
  DiskUsage usage;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (answers[i]) usage[asked[i]] = *answers[i];
  }
  return usage;
}

}  // namespace ukai::ctl
