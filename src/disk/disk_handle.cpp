// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <cassert>
#include <cstring>

#include "disk/attached_disk.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;
constexpr Duration retry_pause = 20ms;

}  // namespace

DiskHandle::DiskHandle(std::shared_ptr<AttachedDisk> disk, std::shared_ptr<Writer> writer,
                       DiskServices services, DiskOptions options, HostPeers& peers,
                       std::optional<pb::Snapshot> snapshot)
    : disk_(std::move(disk)),
      writer_(std::move(writer)),
      services_(services),
      options_(std::move(options)),
      peers_(peers),
      snapshot_(std::move(snapshot)) {}

DiskHandle::~DiskHandle() { disk_->closed(writer_); }

std::uint64_t DiskHandle::size_bytes() const {
  return snapshot_ ? snapshot_->size() : disk_->record().size();
}

std::optional<Generation> DiskHandle::view() const {
  if (!snapshot_) return std::nullopt;
  return Generation{snapshot_->generation()};
}

/// The number of a generation makes another id of the disk's, for whoever tells files by it.
DiskAttributes snapshot_attributes(DiskAttributes disk, const pb::Snapshot& snapshot) {
  auto id = disk.id.bytes();
  for (std::size_t i = 0; i < sizeof(std::uint64_t); ++i) {
    id[i] ^= static_cast<std::uint8_t>((snapshot.generation() * 0x9e3779b97f4a7c15) >> (8 * i));
  }
  disk.id = DiskId(id);
  disk.name = DiskName(disk.name.str() + "@" + snapshot.name());
  disk.size_bytes = snapshot.size();
  disk.created_unix_s = snapshot.created_unix_s();
  return disk;
}

DiskAttributes DiskHandle::attributes() const {
  const pb::DiskRecord record = disk_->record();
  DiskAttributes out;
  out.id = disk_->id();
  out.name = DiskName(record.name());
  out.size_bytes = record.size();
  out.block_size_bytes = record.block_size();
  out.allocated_bytes = record.size();
  out.created_unix_s = record.created_unix_s();
  return snapshot_ ? snapshot_attributes(std::move(out), *snapshot_) : out;
}

/// The grant went away under the request, or its new owner is not known yet: worth another look.
bool DiskHandle::worth_retrying(const Error& error, TimePoint deadline) const {
  const bool passing = error.code == Code::stale || error.code == Code::busy ||
                       error.code == Code::unreachable || error.code == Code::unknown ||
                       error.code == Code::not_found;
  return passing && services_.scheduler.now() < deadline;
}

/// The grant under which this handle may change the disk. stale: never again.
Task<Result<std::shared_ptr<Disk>>> DiskHandle::for_change(TimePoint deadline) {
  assert(writer_);  // the kernel lets nobody change a file that is open for reading
  return disk_->hold_for_change(*writer_, deadline);
}

void DiskHandle::note_write_lock(bool held) {
  if (writer_) disk_->note_write_lock(writer_, held);
}

pb::OpenState DiskHandle::state() const {
  pb::OpenState out = disk_->state_of(writer_);
  if (snapshot_) *out.mutable_snapshot() = *snapshot_;
  return out;
}

Task<Result<>> DiskHandle::write(std::uint64_t offset_bytes, Payload data) {
  const ByteRange range{offset_bytes, offset_bytes + data.size()};
  const TimePoint deadline = services_.scheduler.now() + options_.io_wait;
  for (;;) {
    auto disk = co_await for_change(deadline);
    if (!disk) co_return disk.error();
    if (range.end_bytes > (*disk)->geometry().size_bytes) {
      co_return Error{Code::invalid, "the write reaches beyond the end of the disk"};
    }
    auto done = co_await (*disk)->write(offset_bytes, data);
    if (done.ok()) disk_->heat().count_write(range);
    if (done.ok() || !(*disk)->stopped()) co_return done;
  }
}

Task<Result<>> DiskHandle::zero(ByteRange range) {
  const TimePoint deadline = services_.scheduler.now() + options_.io_wait;
  for (;;) {
    auto disk = co_await for_change(deadline);
    if (!disk) co_return disk.error();
    range.end_bytes = std::min(range.end_bytes, (*disk)->geometry().size_bytes);
    if (range.empty()) co_return Unit{};
    auto done = co_await (*disk)->zero(range);
    if (done.ok() || !(*disk)->stopped()) co_return done;
  }
}

Task<Result<>> DiskHandle::flush() {
  if (!writer_ || disk_->owes_nothing(*writer_)) co_return Unit{};
  const TimePoint deadline = services_.scheduler.now() + options_.io_wait;
  for (;;) {
    auto disk = co_await for_change(deadline);
    if (!disk) co_return disk.error();
    auto done = co_await (*disk)->flush();
    if (done.ok() || !(*disk)->stopped()) co_return done;
  }
}

Task<IoReply> DiskHandle::ask(pb::HostRecord host, IoOp op, ByteRange range) {
  IoRequest request;
  request.op = op;
  request.disk = disk_->id();
  request.generation = view().value_or(Generation{0});
  request.offset_bytes = range.begin_bytes;
  request.length_bytes = static_cast<std::uint32_t>(range.size_bytes());
  OneShot<IoReply> answered;
  peers_.submit(host, std::move(request), options_.io_deadline * 2,
                [answered](IoReply reply) { answered.resolve(std::move(reply)); });
  co_return co_await answered;
}

Task<Result<Payload>> DiskHandle::read(std::uint64_t offset_bytes, std::uint32_t length_bytes) {
  const auto count = [&](const Payload& data) {
    if (!snapshot_) disk_->heat().count_read({offset_bytes, offset_bytes + data.size()});
  };
  const TimePoint deadline = services_.scheduler.now() + options_.io_wait;
  if (snapshot_) {  // another host does not know where it ends
    if (offset_bytes >= snapshot_->size()) co_return Payload();
    length_bytes = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(length_bytes, snapshot_->size() - offset_bytes));
  }
  for (;;) {
    Error failed{Code::io, ""};
    Result<AttachedDisk::Place> place = AttachedDisk::Place{disk_->current(), {}};
    if (!place->here) place = co_await disk_->place();
    if (place.ok() && place->here) {
      const std::uint64_t size = place->here->geometry().size_bytes;
      if (offset_bytes >= size) co_return Payload();
      const ByteRange range{offset_bytes, std::min(offset_bytes + length_bytes, size)};
      auto data = co_await place->here->read(range, view());
      if (data.ok()) count(*data);
      if (data.ok() || !place->here->stopped()) co_return data;
      failed = data.error();
    } else if (place.ok()) {
      const ByteRange range{offset_bytes, offset_bytes + length_bytes};
      IoReply reply = co_await ask(*place->there, IoOp::read_disk, range);
      if (reply.ok) {
        count(reply.data);
        co_return std::move(reply.data);
      }
      failed = Error{reply.code, reply.what};
    } else {
      failed = place.error();
    }
    if (!worth_retrying(failed, deadline)) co_return failed;
    co_await sleep_for(services_.scheduler, retry_pause);
  }
}

Task<Result<std::uint64_t>> DiskHandle::seek(std::uint64_t offset_bytes, bool data) {
  auto found = co_await seek_anywhere(offset_bytes, data);
  if (!snapshot_ || !found || *found < snapshot_->size()) co_return found;
  if (!data) co_return snapshot_->size();
  co_return Error{Code::not_found, "no data beyond this offset"};
}

/// The disk may have grown since the snapshot.
Task<Result<std::uint64_t>> DiskHandle::seek_anywhere(std::uint64_t offset_bytes, bool data) {
  const TimePoint deadline = services_.scheduler.now() + options_.io_wait;
  for (;;) {
    Error failed{Code::io, ""};
    auto place = co_await disk_->place();
    if (place.ok() && place->here) {
      auto found = co_await place->here->seek(offset_bytes, data, view());
      if (found.ok() || !place->here->stopped()) co_return found;
      failed = found.error();
    } else if (place.ok()) {
      const ByteRange range{offset_bytes, offset_bytes + (data ? 1 : 0)};
      IoReply reply = co_await ask(*place->there, IoOp::seek_disk, range);
      std::uint64_t found = 0;
      if (reply.ok && reply.data.size() == sizeof found) {
        std::memcpy(&found, reply.data.to_string().data(), sizeof found);
        co_return found;
      }
      failed = Error{reply.code, reply.what};
      if (failed.code == Code::not_found) co_return failed;  // no data beyond the offset
    } else {
      failed = place.error();
    }
    if (!worth_retrying(failed, deadline)) co_return failed;
    co_await sleep_for(services_.scheduler, retry_pause);
  }
}

}  // namespace ukai
