// SPDX-License-Identifier: BSD-2-Clause
//
// Making a block equal to another node's (protocol.md, "Copying a block").
#include <fmt/format.h>

#include <cstring>

#include "node/block_pull.h"
#include "node/packing.h"
#include "ukai/extent_list.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr std::size_t chunks_parallel = 8;              // 512 KiB under way fill a link of some ms
constexpr std::uint32_t read_bytes_max = 256U << 10;    // a request has its price
constexpr Duration far = std::chrono::milliseconds(2);  // round trip; worth compressing for
constexpr double slow_bytes_per_s = 30e6;               // the same, of what came last
constexpr std::size_t compare_at_once = 16;  // 1 MiB is read here before others get the thread

bool all_zeros(const Payload& data) {
  return std::all_of(data.pieces().begin(), data.pieces().end(),
                     [](const auto& piece) { return is_zero(piece.view()); });
}

std::vector<Extent> join_neighbours(const std::vector<Extent>& chunks) {
  std::vector<Extent> out;
  for (const Extent& chunk : chunks) {
    const bool joins = !out.empty() && out.back().end_bytes == chunk.begin_bytes &&
                       chunk.end_bytes - out.back().begin_bytes <= read_bytes_max;
    if (joins) {
      out.back().end_bytes = chunk.end_bytes;
    } else {
      out.push_back(chunk);
    }
  }
  return out;
}

}  // namespace

BlockPull::~BlockPull() {
  if (!copy_) return;
  disk_->copies.end(log_key_, copy_);
  disk_->log.release(log_key_);
}

Error BlockPull::from_source(Code code, const std::string& what) const {
  // "stale" would say that the session here is over.
  return Error{code == Code::stale ? Code::unreachable : code,
               fmt::format("source {}: {}", request_.source_node(), what)};
}

Result<NodeCore::Admitted> BlockPull::step() {
  auto admitted = core_->admit(request_.ref());
  if (!admitted.ok()) return admitted;
  auto wanted = admitted->disk->check_retired(BlockIndex{request_.block()},
                                              Sequence{request_.from_sequence()});
  if (!wanted.ok()) return wanted.error();
  return admitted;
}

Result<> BlockPull::begin() {
  if (request_.ref().session() == 0)
    return Error{Code::invalid, "only the holder may ask for a copy"};
  if (request_.source_node() == core_->options().id.str())
    return Error{Code::invalid, "a node cannot be its own source"};
  auto admitted = step();
  if (!admitted.ok()) return admitted.error();
  DiskState& disk = *admitted->disk;
  const BlockIndex block{request_.block()};
  auto range = disk.check_range(block, 0, request_.length());
  if (!range.ok()) return range;
  auto mask = disk.check_mask(request_.missing_mask());
  if (!mask.ok()) return mask;
  if (core_->options().peers) source_ = core_->options().peers(request_);
  if (!source_)
    return Error{Code::unreachable, fmt::format("source {} is not known", request_.source_node())};
  key_ = {disk.id, block, Generation{request_.generation()}};
  log_key_ = {key_.block, key_.generation};
  auto copy = disk.copies.begin(log_key_, Sequence{request_.from_sequence()});
  if (!copy.ok()) return copy.error();
  copy_ = std::move(*copy);
  disk_ = admitted->disk;
  // Logged even if nothing will differ: before the map calls the block in sync, it must be here.
  disk.log.hold(log_key_);
  const Touch touch{disk.record.epoch, Sequence{disk.last_sequence.load()}};
  auto logged = disk.log.touch(log_key_, request_.missing_mask(), touch);
  if (!logged.ok()) return logged;
  // After a failed flush the page cache shows what the medium does not have: equal hashes would
  // prove nothing, and only what is written again reaches the medium.
  rewrite_ = disk.record.flush_failed;
  started_ = core_->scheduler().now();
  return {};
}

/// What is here?
Result<> BlockPull::look() {
  auto admitted = step();
  if (!admitted.ok()) return admitted.error();
  auto version = core_->version_of(*admitted->disk, key_);
  if (!version.ok()) return version.error();
  auto extents = core_->store().extents(**version);
  if (!extents.ok()) return extents.error();
  extents_ = std::move(*extents);
  return {};
}

Task<Result<pb::PullReply>> BlockPull::run() {
  // The caller's thread may be one that must not wait for a device.
  co_await hop(core_->background());
  // 1. Logged, and changes take turns with this copy from here on.
  if (!copy_) {
    auto begun = begin();
    if (!begun.ok()) co_return begun.error();
  }
  auto looked = look();
  if (!looked.ok()) co_return looked.error();
  // 2. What does the source have, and how far away is it? Where nothing is here, there is nothing
  //    to compare: hashes would only cost the source a second look at all of it.
  measure();
  if (extents_.empty() && !rewrite_) {
    auto extents = co_await source_extents();
    if (!extents.ok()) co_return extents.error();
    source_extents_ = std::move(*extents);
  } else {
    auto hashes = co_await source_hashes();
    if (!hashes.ok()) co_return hashes.error();
    hashes_ = std::move(*hashes);
  }
  // 3. Fetch what differs.
  for (std::uint32_t at = 0; at < request_.length();) {
    co_await hop(core_->background());
    auto differing = compare(at);
    if (!differing.ok()) co_return differing.error();
    if (differing->empty()) continue;
    auto fetched = co_await fetch(std::move(*differing));
    if (!fetched.ok()) co_return fetched.error();
    co_await pace();
  }
  auto zeroed = apply_zeros();
  if (!zeroed.ok()) co_return zeroed.error();
  // 4. A fence that came meanwhile makes all this worthless.
  auto still = step();
  if (!still.ok()) co_return still.error();
  co_return std::move(reply_);
}

Task<Result<pb::HashReply>> BlockPull::source_hashes() {
  pb::HashRequest request;
  *request.mutable_ref() = request_.ref();
  request.mutable_ref()->set_session(0);
  request.set_block(request_.block());
  request.set_generation(request_.generation());
  request.set_chunk(limits::copy_chunk_bytes);
  request.set_length(request_.length());
  request.set_damage_too(request_.damage_too());
  auto reply = co_await source_->hash(std::move(request));
  if (!reply.ok()) co_return from_source(reply.code(), reply.error().what);
  const std::size_t chunks =
      (request_.length() + limits::copy_chunk_bytes - 1) / limits::copy_chunk_bytes;
  if (reply->hashes().size() != chunks * sizeof(ChunkHash))
    co_return from_source(Code::corrupt, "its hashes do not fit the block");
  co_return std::move(*reply);
}

Task<Result<std::vector<Extent>>> BlockPull::source_extents() {
  IoRequest request;
  request.op = IoOp::extents;
  request.disk = key_.disk;
  request.epoch = Epoch{request_.ref().epoch()};
  request.block = key_.block;
  request.generation = key_.generation;
  OneShot<IoReply> answered;
  source_->submit(std::move(request), limits::io_deadline_default,
                  [answered](IoReply reply) { answered.resolve(std::move(reply)); });
  const IoReply reply = co_await answered;
  if (!reply.ok) co_return from_source(reply.code, reply.what);
  auto extents = decode_extents(reply.data);
  if (!extents.ok()) co_return from_source(Code::corrupt, extents.error().what);
  co_return extents;
}

/// Nothing is here, and nothing there.
bool BlockPull::hole(Extent chunk) const {
  return std::none_of(source_extents_->begin(), source_extents_->end(), [&](const Extent& extent) {
    return extent.begin_bytes < chunk.end_bytes && chunk.begin_bytes < extent.end_bytes;
  });
}

ChunkHash BlockPull::source_hash(Extent chunk) const {
  ChunkHash hash;
  std::memcpy(hash.data(),
              hashes_.hashes().data() + chunk.begin_bytes / limits::copy_chunk_bytes * sizeof hash,
              sizeof hash);
  return hash;
}

bool BlockPull::damaged_at_source(Extent chunk) const {
  const auto& damaged = hashes_.damaged();
  return std::find(damaged.begin(), damaged.end(), chunk.begin_bytes / limits::copy_chunk_bytes) !=
         damaged.end();
}

Result<bool> BlockPull::same(Extent chunk) {
  if (rewrite_ || damaged_at_source(chunk)) return false;
  const auto read = [this](Extent range) -> Result<Payload> {
    auto admitted = step();
    if (!admitted.ok()) return admitted.error();
    auto version = core_->version_of(*disk_, key_);
    if (!version.ok()) return version.error();
    auto data = core_->load(*disk_, **version, range);
    if (!data.ok()) return data.error();
    return std::move(**data);
  };
  auto own = ChunkHasher(extents_, read).hash(chunk);
  if (own.failed_with(Code::corrupt)) return false;  // what is damaged here is fetched
  if (!own.ok()) return own.error();
  return *own == source_hash(chunk);
}

/// Looks at some chunks from `at` on and moves it; the ones to fetch.
Result<std::vector<Extent>> BlockPull::compare(std::uint32_t& at) {
  std::vector<Extent> wanted;
  const std::size_t chunks_at_once = request_.gives_way() ? 1 : chunks_parallel;
  if (auto still = step(); !still.ok()) return still.error();
  for (std::size_t i = 0; i < compare_at_once && at < request_.length(); ++i) {
    if (wanted.size() == chunks_at_once) break;
    const Extent chunk{at, at + std::min(limits::copy_chunk_bytes, request_.length() - at)};
    at = chunk.end_bytes;
    reply_.set_bytes_compared(reply_.bytes_compared() + chunk.end_bytes - chunk.begin_bytes);
    if (source_extents_) {
      if (!hole(chunk)) wanted.push_back(chunk);
      continue;
    }
    auto equal = same(chunk);
    if (!equal.ok()) return equal.error();
    if (*equal) continue;
    if (!is_zero(source_hash(chunk)) || damaged_at_source(chunk)) {
      wanted.push_back(chunk);
      continue;
    }
    auto grown = grow_zeros(chunk);
    if (!grown.ok()) return grown.error();
  }
  return wanted;
}

/// Zeros are collected to runs, so that a block of nothing else vanishes.
Result<> BlockPull::grow_zeros(Extent chunk) {
  if (zeros_.end_bytes != chunk.begin_bytes) {
    auto applied = apply_zeros();
    if (!applied.ok()) return applied;
    zeros_ = chunk;
  }
  zeros_.end_bytes = chunk.end_bytes;
  return {};
}

Result<> BlockPull::apply_zeros() {
  const Extent run = std::exchange(zeros_, Extent{});
  if (run.begin_bytes == run.end_bytes) return {};
  return put(run, Payload());
}

Task<BlockPull::Fetched> BlockPull::read_source(Extent chunk) {
  IoRequest request;
  request.op = *slow_ ? IoOp::read_packed : IoOp::read;
  request.disk = key_.disk;
  request.epoch = Epoch{request_.ref().epoch()};
  request.block = key_.block;
  request.generation = key_.generation;
  request.offset_bytes = chunk.begin_bytes;
  request.length_bytes = chunk.end_bytes - chunk.begin_bytes;
  const IoOp op = request.op;
  OneShot<IoReply> answered;
  source_->submit(std::move(request), limits::io_deadline_default,
                  [answered](IoReply reply) { answered.resolve(std::move(reply)); });
  Fetched out;
  out.reply = co_await answered;
  out.wire_bytes = out.reply.data.size();
  if (out.reply.ok && op == IoOp::read_packed) {
    auto data = unpack(out.reply.data, chunk.end_bytes - chunk.begin_bytes);
    if (data.ok()) {
      out.reply.data = std::move(*data);
    } else {
      out.reply = IoReply::failed(data.error());
    }
  }
  co_return out;
}

/// Nobody waits for the answer, which comes while the hashes are worked out.
void BlockPull::measure() {
  IoRequest request;
  request.op = IoOp::ping;
  request.disk = key_.disk;
  request.epoch = Epoch{request_.ref().epoch()};
  const TimePoint asked = core_->scheduler().now();
  source_->submit(std::move(request), limits::io_deadline_default,
                  [core = core_, slow = slow_, asked](const IoReply& reply) {
                    if (reply.ok && core->scheduler().now() - asked >= far) *slow = true;
                  });
}

/// A link that is near may be slow all the same.
void BlockPull::judge_link(Duration took, std::size_t bytes) {
  const double seconds = std::chrono::duration<double>(took).count();
  if (bytes >= limits::copy_chunk_bytes * chunks_parallel / 2 &&
      static_cast<double>(bytes) < seconds * slow_bytes_per_s)
    *slow_ = true;
}

Task<Result<>> BlockPull::fetch(std::vector<Extent> wanted) {
  const std::vector<Extent> chunks = join_neighbours(wanted);
  std::vector<Task<Fetched>> reads;
  for (const Extent& chunk : chunks) reads.push_back(read_source(chunk));
  const TimePoint asked = core_->scheduler().now();
  auto replies = co_await gather(std::move(reads));
  const Duration took = core_->scheduler().now() - asked;
  co_await hop(core_->background());
  std::size_t bytes = 0;
  for (const Fetched& fetched : replies) bytes += fetched.wire_bytes;
  reply_.set_bytes_fetched(reply_.bytes_fetched() + bytes);
  judge_link(took, bytes);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const IoReply& reply = replies[i].reply;
    if (!reply.ok && reply.code == Code::corrupt && request_.damage_too()) {
      auto done = co_await fetch_units(chunks[i]);
      if (!done.ok()) co_return done;
      continue;
    }
    if (!reply.ok) co_return from_source(reply.code, reply.what);
    const std::uint32_t length = chunks[i].end_bytes - chunks[i].begin_bytes;
    if (reply.data.size() != length)
      co_return from_source(Code::corrupt, "its data is not as long as was asked for");
    if (source_extents_ && all_zeros(reply.data)) continue;  // as it was here
    auto done = put(chunks[i], reply.data);
    if (!done.ok()) co_return done.error();
  }
  co_return Unit{};
}

/// Of a chunk that is damaged at the source: its good units, and the others are lost here as well.
Task<Result<>> BlockPull::fetch_units(Extent chunk) {
  for (std::uint32_t at = chunk.begin_bytes; at < chunk.end_bytes;) {
    const Extent unit{at, std::min(chunk.end_bytes, at + BlockStore::unit_bytes)};
    at = unit.end_bytes;
    const Fetched fetched = co_await read_source(unit);
    const IoReply& reply = fetched.reply;
    co_await hop(core_->background());
    reply_.set_bytes_fetched(reply_.bytes_fetched() + fetched.wire_bytes);
    if (!reply.ok && reply.code != Code::corrupt) co_return from_source(reply.code, reply.what);
    auto done = reply.ok ? put(unit, reply.data) : give_up(unit);
    if (!done.ok()) co_return done;
  }
  co_return Unit{};
}

/// What was forwarded here meanwhile stands, if only for a part of the unit: the other part cannot
/// be made up, and a change of a part was refused by the source.
Result<> BlockPull::give_up(Extent unit) {
  auto admitted = step();
  if (!admitted.ok()) return admitted.error();
  const std::lock_guard turn(copy_->mutex);
  if (copy_->covered.uncovered(unit).empty()) return {};
  auto kept = keep_head();
  if (!kept.ok()) return kept;
  reply_.set_lost_units(reply_.lost_units() + 1);
  return core_->give_up(*disk_, key_, unit);
}

Result<> BlockPull::put(Extent range, const Payload& data) {
  auto admitted = step();
  if (!admitted.ok()) return admitted.error();
  auto kept = keep_head();
  if (!kept.ok()) return kept;
  const std::lock_guard turn(copy_->mutex);
  for (const Extent& gap : copy_->covered.uncovered(range)) {
    const std::uint32_t length = gap.end_bytes - gap.begin_bytes;
    auto done = data.empty() ? core_->put_zeros(*disk_, key_, gap)
                             : core_->put(*disk_, key_, gap.begin_bytes,
                                          data.part(gap.begin_bytes - range.begin_bytes, length));
    if (!done.ok()) {
      core_->complain(*disk_, done.error());
      return done;
    }
  }
  return {};
}

/// Waits until what was fetched is within the rate.
Task<void> BlockPull::pace() {
  const std::uint64_t rate = request_.rate_bytes_per_s();
  if (rate == 0) co_return;
  const double seconds = static_cast<double>(reply_.bytes_fetched()) / static_cast<double>(rate);
  const TimePoint due =
      started_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  const TimePoint now = core_->scheduler().now();
  if (due > now) co_await sleep_for(core_->scheduler(), due - now);
}

}  // namespace ukai
