// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/fuse_buffers.h"

#include <linux/fuse.h>

#include <atomic>
#include <new>

#include "ukai/limits.h"

namespace ukai::fuse {
namespace {

constexpr std::size_t buffers_pinned_max = 128;  // of 1 MiB each, mostly untouched pages
constexpr std::size_t buffers_idle_max = 64;     // what a busy guest comes back for
constexpr std::size_t page_bytes = 4096;
constexpr std::size_t bytes_before_data = sizeof(fuse_in_header) + sizeof(fuse_write_in);
// Debian's libfuse offers the kernel 1 MiB and 4 KiB. Whatever another one offers, the kernel sends
// no more than the largest write with its headers.
constexpr std::size_t request_bytes_max = limits::io_bytes_max + (64U << 10);

}  // namespace

FuseBuffers::Buffer::Buffer()
    : block_(::operator new (page_bytes + request_bytes_max, std::align_val_t{page_bytes})),
      memory_(static_cast<std::byte*>(block_) + page_bytes - bytes_before_data) {}

FuseBuffers::Buffer::~Buffer() { ::operator delete (block_, std::align_val_t{page_bytes}); }

struct FuseBuffers::Shared {
  std::mutex mutex;
  std::vector<std::unique_ptr<Buffer>> idle;  // guarded by mutex; the last was used last: warm
  std::atomic<std::size_t> out{0};

  std::unique_ptr<Buffer> take() {
    out.fetch_add(1, std::memory_order_relaxed);
    std::lock_guard lock(mutex);
    if (idle.empty()) return std::make_unique<Buffer>();
    auto buffer = std::move(idle.back());
    idle.pop_back();
    buffer->kept_ = false;
    return buffer;
  }

  void give_back(std::unique_ptr<Buffer> buffer) {
    out.fetch_sub(1, std::memory_order_relaxed);
    std::lock_guard lock(mutex);
    if (idle.size() < buffers_idle_max) idle.push_back(std::move(buffer));
  }
};

FuseBuffers::FuseBuffers() : shared_(std::make_shared<Shared>()) {}

std::shared_ptr<FuseBuffers::Buffer> FuseBuffers::take() {
  auto give_back = [shared = shared_](Buffer* buffer) {
    shared->give_back(std::unique_ptr<Buffer>(buffer));
  };
  return std::shared_ptr<Buffer>(shared_->take().release(), std::move(give_back));
}

Bytes FuseBuffers::keep(const std::shared_ptr<Buffer>& owner, std::span<const std::byte> data) {
  if (shared_->out.load(std::memory_order_relaxed) > buffers_pinned_max) {
    return Bytes::copy_of(data);
  }
  owner->kept_ = true;
  return Bytes(owner, data);
}

}  // namespace ukai::fuse
