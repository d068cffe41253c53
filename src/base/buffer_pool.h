// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "ukai/bytes.h"

namespace ukai {

/// Buffers for data that is read or received, used again instead of returned to the heap: a fresh
/// megabyte costs more in page faults than its copy. Sizes are powers of two from 4 KiB to 2 MiB;
/// larger ones come from the heap. Keeps at most `kept_bytes_max` idle.
///
/// Threads: safe from any. Buffers may outlive the pool's owner (shared_ptr: each buffer in use
/// refers to the pool it returns to).
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  explicit BufferPool(std::size_t kept_bytes_max) : kept_bytes_max_(kept_bytes_max) {}

  /// Memory to fill, and then to hand on as Bytes.
  struct Buffer {
    std::shared_ptr<std::byte> memory;
    std::size_t size = 0;
    std::byte* data() const { return memory.get(); }
    Bytes bytes() const { return Bytes(memory, {memory.get(), size}); }
  };
  Buffer take(std::size_t size);

  std::size_t kept_bytes() const;

 private:
  static constexpr std::size_t smallest = 4096;
  static constexpr std::size_t classes = 10;  // 4 KiB … 2 MiB

  void give_back(std::byte* memory, std::size_t size_class);

  const std::size_t kept_bytes_max_;
  mutable std::mutex mutex_;
  std::size_t kept_bytes_ = 0;                                           // by mutex_
  std::array<std::vector<std::unique_ptr<std::byte[]>>, classes> idle_;  // by mutex_
};

}  // namespace ukai
