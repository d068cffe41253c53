// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "ukai/bytes.h"

namespace ukai::fuse {

/// The buffers that requests are received into. A write's payload stays where the kernel copied it
/// until the last replica has it, so a buffer goes back to the pool when the last Bytes over it has
/// gone, on whatever thread.
///
/// Bounds: at most `buffers_pinned_max` whole buffers are held by payloads; further payloads are
/// copied to memory of their own size. Nothing waits here: the receiving thread serves all disks,
/// and the kernel itself bounds the requests in flight.
/// The pool may be destroyed while payloads live; they keep what they need of it.
/// Threads: safe from any.
class FuseBuffers {
 public:
  FuseBuffers();

  /// One received request. Created by the thread that receives and reused for the next request
  /// unless its payload was kept.
  class Buffer {
   public:
    Buffer();
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    /// Room for any request of the kernel. The data of a write begin with a page: the kernel copies
    /// them page by page, which it does at once then.
    void* memory() const { return memory_; }
    /// Bytes over it were made since it was taken; only the thread that took it may ask.
    bool kept() const { return kept_; }

   private:
    friend class FuseBuffers;
    void* block_;   ///< ours
    void* memory_;  ///< in the block
    bool kept_ = false;
  };

  /// A buffer to receive into.
  std::shared_ptr<Buffer> take();

  /// Bytes over `data`, which lies in the buffer `owner` of this pool. On the thread that took it.
  Bytes keep(const std::shared_ptr<Buffer>& owner, std::span<const std::byte> data);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  ///< shared with every buffer out there, which returns to it
};

}  // namespace ukai::fuse
