// SPDX-License-Identifier: BSD-2-Clause
#include "base/buffer_pool.h"

namespace ukai {

BufferPool::Buffer BufferPool::take(std::size_t size) {
  std::size_t size_class = 0;
  while (size_class < classes && (smallest << size_class) < size) ++size_class;
  if (size_class == classes)
    return Buffer{std::shared_ptr<std::byte>(new std::byte[size],
                                             [](const std::byte* memory) { delete[] memory; }),
                  size};
  std::unique_ptr<std::byte[]> memory;
  {
    const std::lock_guard lock(mutex_);
    auto& idle = idle_[size_class];
    if (!idle.empty()) {
      memory = std::move(idle.back());
      idle.pop_back();
      kept_bytes_ -= smallest << size_class;
    }
  }
  if (!memory) memory.reset(new std::byte[smallest << size_class]);
  auto back = [pool = shared_from_this(), size_class](std::byte* returned) {
    pool->give_back(returned, size_class);
  };
  return Buffer{std::shared_ptr<std::byte>(memory.release(), std::move(back)), size};
}

void BufferPool::give_back(std::byte* memory, std::size_t size_class) {
  std::unique_ptr<std::byte[]> owned(memory);
  const std::lock_guard lock(mutex_);
  if (kept_bytes_ + (smallest << size_class) > kept_bytes_max_) return;
  kept_bytes_ += smallest << size_class;
  idle_[size_class].push_back(std::move(owned));
}

std::size_t BufferPool::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

}  // namespace ukai
