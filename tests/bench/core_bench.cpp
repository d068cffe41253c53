// SPDX-License-Identifier: BSD-2-Clause
//
// What one 4 KiB request costs in each piece that it passes, without any device or network (the
// store and its checksums: store_bench).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <optional>
#include <random>

#include "disk/range_locks.h"
#include "harness/manual_scheduler.h"
#include "node/dirty_log.h"
#include "rpc/frame.h"
#include "store/memory_block_store.h"
#include "ukai/block_map.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr std::uint32_t unit = 4096;

std::vector<RequestFrame> writes(std::int64_t count) {
  std::vector<RequestFrame> frames(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].id = i + 1;
    IoRequest& request = frames[i].request;
    request.op = IoOp::write;
    request.block = BlockIndex{i};
    request.length_bytes = unit;
    request.data = Payload(Bytes::copy_of(std::string(unit, 'w')));
  }
  return frames;
}

/// A batch from structures to wire and back; the time of all frames together.
void frames_of_writes(benchmark::State& state) {
  const auto frames = writes(state.range(0));
  for (auto _ : state) {
    const Payload message = encode_requests(frames);
    auto decoded = decode_requests(message);
    if (!decoded.ok() || decoded->size() != frames.size()) std::abort();
    benchmark::DoNotOptimize(decoded);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(frames_of_writes)->Arg(1)->Arg(16);

void frames_of_replies(benchmark::State& state) {
  std::vector<ReplyFrame> frames(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].id = i + 1;
    frames[i].reply.data = Payload(Bytes::copy_of(std::string(unit, 'r')));
  }
  for (auto _ : state) {
    const Payload message = encode_replies(frames);
    auto decoded = decode_replies(message);
    if (!decoded.ok() || decoded->size() != frames.size()) std::abort();
    benchmark::DoNotOptimize(decoded);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(frames_of_replies)->Arg(1)->Arg(16);

/// Taken and given back while as many others are held elsewhere on the disk.
void range_lock(benchmark::State& state) {
  test::ManualScheduler scheduler;
  RangeLocks locks(scheduler);
  std::vector<RangeLocks::Guard> others;
  const auto take = [&](std::uint64_t at, auto then) {
    spawn_into<RangeLocks::Guard>(
        locks.acquire({at, at + unit}, RangeLocks::Mode::exclusive, Duration::zero()),
        std::move(then));
  };
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    take(static_cast<std::uint64_t>(i + 1) * unit,
         [&](RangeLocks::Guard guard) { others.push_back(std::move(guard)); });
  }
  for (auto _ : state) {
    std::optional<RangeLocks::Guard> guard;
    take(0, [&](RangeLocks::Guard taken) { guard.emplace(std::move(taken)); });
    if (!guard || !guard->holds()) std::abort();
  }
}
BENCHMARK(range_lock)->Arg(0)->Arg(16)->Arg(256);

/// Runs of as many blocks, in a whole segment.
pb::MapSegment segment_of_runs(std::uint32_t blocks_a_run) {
  pb::MapSegment segment;
  for (const auto& [one, other] : {std::pair("n1", "n2"), {"n2", "n3"}, {"n3", "n1"}}) {
    pb::ReplicaSet* set = segment.add_sets();
    for (const char* node : {one, other}) {
      set->add_nodes(node);
      set->add_status(0);
    }
  }
  for (std::uint32_t at = 0; at < limits::segment_blocks; at += blocks_a_run) {
    pb::MapRun* run = segment.add_runs();
    run->set_blocks(blocks_a_run);
    run->set_first_set(at / blocks_a_run % 3);
    run->set_cycle(1);
  }
  return segment;
}

void map_look_up(benchmark::State& state) {
  const MapSegmentView view(segment_of_runs(static_cast<std::uint32_t>(state.range(0))));
  std::mt19937 random(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(view.locations(BlockIndex{random() % limits::segment_blocks}));
  }
}
BENCHMARK(map_look_up)->Arg(16384)->Arg(16)->Arg(1);

/// A block that is in the log already, as all but the first write of a block find it.
void dirty_log_of_a_hot_block(benchmark::State& state) {
  MemoryBlockStore store;
  const DiskId disk = DiskId::random();
  if (!store.open_disk(disk, 4U << 20).ok()) std::abort();
  DirtyLog log(store, disk, "n1");
  if (!log.load().ok() || !log.start_session({{"n1", "n2"}, 0}).ok()) std::abort();
  const Touch touch{Epoch{1}, Sequence{1}};
  constexpr std::uint64_t blocks = 1024;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    if (!log.touch({BlockIndex{i}, Generation{1}}, 0, touch).ok()) std::abort();
  }
  std::mt19937 random(1);
  for (auto _ : state) {
    if (!log.touch_if_logged({BlockIndex{random() % blocks}, Generation{1}}, 0, touch))
      std::abort();
  }
}
BENCHMARK(dirty_log_of_a_hot_block);

}  // namespace
}  // namespace ukai

BENCHMARK_MAIN();
