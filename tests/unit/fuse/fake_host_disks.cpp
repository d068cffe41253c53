// SPDX-License-Identifier: BSD-2-Clause
#include "unit/fuse/fake_host_disks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace ukai::fake {
namespace {

using namespace std::chrono_literals;

Task<void> travel(Scheduler* scheduler) {
  if (scheduler != nullptr) co_await sleep_for(*scheduler, 50us);
}

const Error not_for_the_mount{Code::invalid, "not for the mount"};

}  // namespace

class OpenDisk final : public ukai::OpenDisk {
 public:
  struct Options {
    Cluster& cluster;
    std::shared_ptr<Disk> disk;
    Scheduler* scheduler;
    bool writable;
  };
  explicit OpenDisk(Options options) : own_(std::move(options)) {}

  ~OpenDisk() override {
    std::lock_guard lock(own_.cluster.mutex_);
    if (own_.writable && --own_.disk->writers == 0) own_.disk->writer.clear();
  }

  DiskAttributes attributes() const override {
    std::lock_guard lock(own_.cluster.mutex_);
    return attributes_of(*own_.disk);
  }

  std::uint64_t size_bytes() const override {
    std::lock_guard lock(own_.cluster.mutex_);
    return own_.disk->bytes.size();
  }

  Task<Result<Payload>> read(std::uint64_t offset, std::uint32_t length) override {
    own_.cluster.reads_together.enter();
    co_await travel(own_.scheduler);
    if (const int us = own_.cluster.read_takes_us) {
      std::this_thread::sleep_for(std::chrono::microseconds(us));
    }
    own_.cluster.reads_together.leave();
    std::lock_guard lock(own_.cluster.mutex_);
    const auto& bytes = own_.disk->bytes;
    Payload out;
    const std::size_t begin = std::min<std::size_t>(offset, bytes.size());
    const std::size_t end = std::min<std::size_t>(begin + length, bytes.size());
    // In several pieces, as blocks arrive from several nodes.
    const std::size_t most = own_.cluster.read_piece_bytes;
    for (std::size_t at = begin; at < end; at += most) {
      const std::size_t piece = std::min(most, end - at);
      out.append(Bytes::copy_of(std::span(bytes).subspan(at, piece)));
    }
    co_return out;
  }

  Task<Result<>> write(std::uint64_t offset, Payload data) override {
    own_.cluster.writes_together.enter();
    co_await travel(own_.scheduler);
    own_.cluster.writes_together.leave();
    if (own_.cluster.fail_writes) co_return Error{Code::io, "told to fail"};
    std::lock_guard lock(own_.cluster.mutex_);
    auto& disk = *own_.disk;
    if (offset + data.size() > disk.bytes.size()) co_return Error{Code::invalid, "beyond the end"};
    data.copy_to(std::span(disk.bytes).subspan(offset, data.size()));
    for (std::size_t at = offset / chunk_bytes; at * chunk_bytes < offset + data.size(); ++at) {
      disk.allocated[at] = true;
    }
    ++own_.cluster.writes;
    own_.cluster.largest_write = std::max(own_.cluster.largest_write.load(), data.size());
    co_return Unit{};
  }

  Task<Result<>> flush() override {
    co_await travel(own_.scheduler);
    if (own_.cluster.fail_flushes) co_return Error{Code::io, "told to fail"};
    ++own_.cluster.flushes;
    co_return Unit{};
  }

  Task<Result<>> zero(ByteRange range) override {
    co_await travel(own_.scheduler);
    std::lock_guard lock(own_.cluster.mutex_);
    auto& disk = *own_.disk;
    const std::size_t end = std::min<std::size_t>(range.end_bytes, disk.bytes.size());
    std::fill(disk.bytes.begin() + static_cast<std::ptrdiff_t>(range.begin_bytes),
              disk.bytes.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
    const std::size_t first = (range.begin_bytes + chunk_bytes - 1) / chunk_bytes;
    for (std::size_t at = first; (at + 1) * chunk_bytes <= end; ++at) disk.allocated[at] = false;
    co_return Unit{};
  }

  Task<Result<std::uint64_t>> seek(std::uint64_t offset, bool data) override {
    co_await travel(own_.scheduler);
    std::lock_guard lock(own_.cluster.mutex_);
    const auto& disk = *own_.disk;
    for (std::size_t at = offset / chunk_bytes; at < disk.allocated.size(); ++at) {
      if (disk.allocated[at] == data) co_return std::max<std::uint64_t>(offset, at * chunk_bytes);
    }
    if (data) co_return Error{Code::not_found, "no data"};
    co_return disk.bytes.size();
  }

  void note_write_lock(bool held) override {
    std::lock_guard lock(own_.cluster.mutex_);
    own_.cluster.write_locks_.push_back(held);
  }

  pb::OpenState state() const override {
    std::lock_guard lock(own_.cluster.mutex_);
    pb::OpenState out;
    out.set_disk_id(own_.disk->name);
    out.set_writer(own_.writable);
    return out;
  }

  static DiskAttributes attributes_of(const Disk& disk) {
    DiskAttributes out;
    out.id = disk.id;
    out.name = DiskName(disk.name);
    out.size_bytes = disk.bytes.size();
    out.block_size_bytes = chunk_bytes;
    out.allocated_bytes = chunk_bytes * static_cast<std::size_t>(std::count(
                                            disk.allocated.begin(), disk.allocated.end(), true));
    out.created_unix_s = 1'700'000'000;
    return out;
  }

 private:
  Options own_;
};

void Cluster::create(const std::string& name, std::size_t size_bytes) {
  auto disk = std::make_shared<Disk>();
  disk->id = DiskId::random();
  disk->name = name;
  std::lock_guard lock(mutex_);
  disks_[name] = std::move(disk);
  disks_[name]->bytes.resize(size_bytes);
  disks_[name]->allocated.resize((size_bytes + chunk_bytes - 1) / chunk_bytes);
}

void Cluster::remove(const std::string& name) {
  std::lock_guard lock(mutex_);
  disks_.erase(name);
}

void Cluster::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  disks_[to] = disks_[from];
  disks_[to]->name = to;
  disks_.erase(from);
}

void Cluster::resize(const std::string& name, std::size_t size_bytes) {
  std::lock_guard lock(mutex_);
  disks_[name]->bytes.resize(size_bytes);
  disks_[name]->allocated.resize((size_bytes + chunk_bytes - 1) / chunk_bytes);
}

std::string Cluster::contents(const std::string& name, std::size_t offset, std::size_t length) {
  std::lock_guard lock(mutex_);
  const auto* bytes = reinterpret_cast<const char*>(disks_[name]->bytes.data());
  return {bytes + offset, length};
}

std::shared_ptr<Disk> Cluster::find(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto found = disks_.find(name);
  return found == disks_.end() ? nullptr : found->second;
}

Task<Result<std::vector<DiskName>>> HostDisks::list() {
  co_await travel(scheduler_);
  std::vector<DiskName> names;
  std::lock_guard lock(cluster_.mutex_);
  for (const auto& [name, disk] : cluster_.disks_) names.emplace_back(name);
  co_return names;
}

Task<Result<DiskAttributes>> HostDisks::stat(DiskName name) {
  co_await travel(scheduler_);
  if (cluster_.metadata_away) co_return Error{Code::unreachable, "told to be away"};
  const auto disk = cluster_.find(name.str());
  if (!disk) co_return Error{Code::not_found, "no disk " + name.str()};
  std::lock_guard lock(cluster_.mutex_);
  co_return OpenDisk::attributes_of(*disk);
}

Task<Result<std::shared_ptr<ukai::OpenDisk>>> HostDisks::open(DiskName name, OpenMode mode) {
  co_await travel(scheduler_);
  const auto disk = cluster_.find(name.str());
  if (!disk) co_return Error{Code::not_found, "no disk " + name.str()};
  const bool writable = mode == OpenMode::read_write;
  if (writable && cluster_.refuse_opens) co_return Error{Code::refused, "host not allowed"};
  if (writable) {
    std::lock_guard lock(cluster_.mutex_);
    if (!disk->writer.empty() && disk->writer != host_) {
      co_return Error{Code::busy, "held by " + disk->writer};
    }
    disk->writer = host_;
    ++disk->writers;
  }
  OpenDisk::Options options{cluster_, disk, scheduler_, writable};
  co_return std::make_shared<OpenDisk>(std::move(options));
}

Task<Result<std::shared_ptr<ukai::OpenDisk>>> HostDisks::resume(pb::OpenState state) {
  const auto mode = state.writer() ? OpenMode::read_write : OpenMode::read_only;
  co_return co_await open(DiskName(state.disk_id()), mode);
}

Task<Result<StoreSpace>> HostDisks::space() {
  co_await travel(scheduler_);
  StoreSpace space;
  space.capacity_bytes = 10ULL << 30;
  space.free_bytes = 4ULL << 30;
  co_return space;
}

Task<void> HostDisks::shut_down() { co_return; }

Task<Result<pb::ChangeDiskReply>> HostDisks::change_disk(pb::ChangeDiskRequest) {
  co_return not_for_the_mount;
}
Task<Result<std::vector<DiskName>>> HostDisks::list_snapshots() {
  co_return std::vector<DiskName>{DiskName("vm@s1")};
}
Task<Result<pb::TakeSnapshotsReply>> HostDisks::take_snapshots(pb::TakeSnapshotsRequest) {
  co_return not_for_the_mount;
}
Task<Result<pb::CloneDiskReply>> HostDisks::clone_disk(pb::CloneDiskRequest) {
  co_return not_for_the_mount;
}
Task<Result<>> HostDisks::diff_disk(pb::DiffDiskRequest,
                                    std::function<bool(const pb::DiffProgress&)>) {
  co_return not_for_the_mount;
}
Task<Result<pb::YieldLeaseReply>> HostDisks::yield_lease(pb::YieldLeaseRequest) {
  co_return not_for_the_mount;
}
Task<Result<pb::DiskStatusReply>> HostDisks::disk_status(pb::DiskStatusRequest) {
  co_return not_for_the_mount;
}
Task<Result<pb::HostStatusReply>> HostDisks::host_status() { co_return not_for_the_mount; }
Task<Result<>> HostDisks::verify_disk(pb::VerifyDiskRequest,
                                      std::function<bool(const pb::VerifyProgress&)>) {
  co_return not_for_the_mount;
}
Task<Result<>> HostDisks::scrub_disk(pb::ScrubDiskRequest,
                                     std::function<bool(const pb::ScrubProgress&)>) {
  co_return not_for_the_mount;
}
void HostDisks::serve_reader(IoRequest, std::function<void(IoReply)> done) {
  done(IoReply::failed(not_for_the_mount));
}

}  // namespace ukai::fake
