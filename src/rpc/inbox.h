// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "base/buffer_pool.h"
#include "ukai/bytes.h"
#include "ukai/result.h"

namespace ukai {

/// Cuts a stream of bytes into records: u32 length, little endian, then as many bytes. What a
/// record refers to is the memory that was received into, not a copy; a record that the memory at
/// hand cannot hold gets one of its own size, and the rest is received right there.
///
/// Threads: one at a time. Records may outlive it, on any thread.
class Inbox {
 public:
  Inbox(std::shared_ptr<BufferPool> pool, std::size_t record_bytes_max)
      : pool_(std::move(pool)), record_bytes_max_(record_bytes_max) {}

  /// Where the next bytes go; not empty. Call next() until it has nothing before.
  std::span<std::byte> space();
  void received(std::size_t bytes) { end_ += bytes; }
  /// nullopt: not all of it is there. invalid: longer than allowed; there is no going on.
  Result<std::optional<Payload>> next();
  /// Nothing more is there for now: a large buffer with nothing in it goes back to the pool.
  void rest();
  void allow(std::size_t record_bytes_max) { record_bytes_max_ = record_bytes_max; }

 private:
  std::size_t filled() const { return end_ - begin_; }
  std::optional<std::size_t> announced() const;
  void renew(std::size_t size);

  std::shared_ptr<BufferPool> pool_;  ///< shared with the records that are out
  std::size_t record_bytes_max_;
  BufferPool::Buffer buffer_;
  std::size_t begin_ = 0;  ///< in buffer_: of what has not been handed out
  std::size_t end_ = 0;
  bool handed_out_ = false;           ///< a record of buffer_ is out: its bytes must not change
  std::size_t last_large_bytes_ = 0;  ///< of the record before, 0: it was not large
};

}  // namespace ukai
