// SPDX-License-Identifier: BSD-2-Clause
//
// What differs between two states of an attached disk, for incremental backups.
#include <algorithm>

#include "disk/disk.h"
#include "disk/requests.h"
#include "ukai/history.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t blocks_parallel = 8;
constexpr std::uint64_t report_blocks = 256;
constexpr Duration patience = 10s;
constexpr std::size_t hash_bytes = 16;

/// The member whose replica is asked, and how.
struct Asked {
  std::size_t index = 0;
  Session session{};
  std::shared_ptr<NodeLink> link;
  pb::HashRequest request;
};

std::optional<Asked> whom_to_ask(DiskCore& core, BlockIndex block) {
  const auto view = core.map.find(block);
  if (!view) return std::nullopt;
  std::lock_guard lock(core.mutex);
  std::optional<std::size_t> best;
  for (std::size_t index : core.members.in_sync(view->locations(block))) {
    if (core.replicas[index]->state != Replica::State::open) continue;
    if (!best || core.replicas[index]->rank < core.replicas[*best]->rank) best = index;
  }
  if (!best) return std::nullopt;
  const Replica& replica = *core.replicas[*best];
  Asked out;
  out.index = *best;
  out.session = replica.session;
  out.link = replica.link;
  *out.request.mutable_ref() = core.ref(replica);
  const Geometry geometry = core.geometry();
  out.request.set_block(raw(block));
  out.request.set_generation(raw(core.head));
  out.request.set_chunk(limits::copy_chunk_bytes);
  out.request.set_length(static_cast<std::uint32_t>(geometry.range_of(block).size_bytes()));
  return out;
}

/// Do both see the same version? Then there is nothing to compare.
bool same_version(const History& history, const pb::HashReply& versions, Generation from,
                  Generation to) {
  std::vector<Generation> held;
  for (const std::uint64_t version : versions.versions()) held.push_back(Generation{version});
  return history.seen(held, from) == history.seen(held, to);
}

std::vector<pb::DiffProgress::Range> ranges_of(const std::string& before, const std::string& after,
                                               ByteRange block) {
  std::vector<pb::DiffProgress::Range> out;
  static const std::string zeros(hash_bytes, '\0');
  for (std::size_t at = 0; at + hash_bytes <= after.size(); at += hash_bytes) {
    const std::string hash = after.substr(at, hash_bytes);
    if (before.substr(at, hash_bytes) == hash) continue;
    pb::DiffProgress::Range range;
    range.set_begin(block.begin_bytes + at / hash_bytes * limits::copy_chunk_bytes);
    range.set_end(std::min(range.begin() + limits::copy_chunk_bytes, block.end_bytes));
    range.set_zero(hash == zeros);
    out.push_back(range);
  }
  return out;
}

struct Views {
  Generation from{};
  std::optional<Generation> to;
};

Task<Result<std::vector<pb::DiffProgress::Range>>> diff_once(DiskCore& core, BlockIndex block,
                                                             Views views) {
  auto asked = whom_to_ask(core, block);
  if (!asked) co_return Error{Code::unreachable, "no in-sync replica can be reached"};
  Result<History> history = Error{Code::io, ""};
  Generation to{};
  ByteRange range;
  {
    std::lock_guard lock(core.mutex);
    history = History::from(core.entry.record);
    to = views.to.value_or(core.head);
    range = core.geometry().range_of(block);
  }
  if (!history) co_return history.error();
  pb::HashRequest request = asked->request;
  request.set_only_versions(true);
  auto versions = co_await asked->link->hash(std::move(request));
  Result<pb::HashReply> before = versions;
  Result<pb::HashReply> after = versions;
  if (versions.ok()) {
    if (same_version(*history, *versions, views.from, to)) {
      co_return std::vector<pb::DiffProgress::Range>();
    }
    request = asked->request;
    request.set_generation(raw(views.from));
    before = co_await asked->link->hash(std::move(request));
  }
  if (before.ok()) {
    request = asked->request;
    request.set_generation(raw(to));
    after = co_await asked->link->hash(std::move(request));
  }
  for (const auto* reply : {&before, &after}) {
    if (reply->ok()) continue;
    if (ends_session(reply->code())) {
      core.session_failed(asked->index, asked->session, reply->error());
    }
    co_return reply->error();
  }
  co_return ranges_of(before->hashes(), after->hashes(), range);
}

Task<Result<std::vector<pb::DiffProgress::Range>>> diff_block(DiskCore& core, BlockIndex block,
                                                              Views views) {
  auto view = co_await core.map.load(block, core.geometry());
  if (!view) co_return view.error();
  const TimePoint deadline = core.now() + patience;
  for (;;) {
    const std::uint64_t ticket = core.changed.ticket();
    auto found = co_await diff_once(core, block, views);
    if (found.ok() || core.stop_reason() || core.now() >= deadline) co_return found;
    co_await core.changed.wait(ticket, core.now() + 200ms);
  }
}

/// Joined with the last one where they touch and are alike; none beyond `size_bytes`.
void add_range(pb::DiffProgress& report, pb::DiffProgress::Range range, std::uint64_t size_bytes) {
  if (range.begin() >= size_bytes) return;
  range.set_end(std::min(range.end(), size_bytes));
  const int count = report.ranges_size();
  if (count > 0) {
    auto& last = *report.mutable_ranges(count - 1);
    if (last.end() == range.begin() && last.zero() == range.zero()) {
      last.set_end(range.end());
      return;
    }
  }
  *report.add_ranges() = range;
}

}  // namespace

Task<Result<>> Disk::diff(Generation from, View to, std::uint64_t size_bytes,
                          std::function<bool(const pb::DiffProgress&)> progress) {
  const std::uint64_t block_size = core_.geometry().block_size_bytes;
  const std::uint64_t total = (size_bytes + block_size - 1) / block_size;
  Views views;
  views.from = from;
  views.to = to;
  pb::DiffProgress report;
  report.set_blocks_total(total);
  for (std::uint64_t first = 0; first < total; first += blocks_parallel) {
    const std::uint64_t end = std::min<std::uint64_t>(first + blocks_parallel, total);
    std::vector<Task<Result<std::vector<pb::DiffProgress::Range>>>> batch;
    for (std::uint64_t block = first; block < end; ++block) {
      batch.push_back(diff_block(core_, BlockIndex{block}, views));
    }
    auto answers = co_await gather(std::move(batch));
    for (const auto& answer : answers) {
      if (!answer) co_return answer.error();
      for (const auto& range : *answer) add_range(report, range, size_bytes);
    }
    report.set_blocks_done(end);
    report.set_finished(end == total);
    if (end % report_blocks != 0 && end != total) continue;
    if (!progress(report)) co_return Error{Code::shut_down, "the caller went away"};
    report.clear_ranges();
  }
  co_return Unit{};
}

}  // namespace ukai
