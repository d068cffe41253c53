// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

#include "ukai/bytes.h"
#include "ukai/scheduler.h"
#include "ukai/types.h"

namespace ukai {

/// What a data request does on a node.
enum class IoOp : std::uint8_t {
  read = 1,       ///< bytes of one block; what was never written is zero
  write = 2,      ///< payload to one block
  zero = 3,       ///< the range reads as zeros afterwards and gives its space back where it can
  flush = 4,      ///< all that was applied of this disk before it is durable (data, sizes, folders)
  extents = 5,    ///< which ranges of one block hold data: payload of {u32 begin, u32 end} pairs,
                  ///< little endian
  ping = 6,       ///< the session still stands; measures latency
  read_disk = 7,  ///< to a host, not a node: read `length` bytes at `offset_bytes` of the disk
                  ///< (block unused)
  /// To a host: first data (length_bytes 1) or hole (0) at or after `offset_bytes`; the payload is
  /// its offset, u64 little endian.
  seek_disk = 8,
  /// Which 4 KiB units of the range do not fit their checksums; answered as extents.
  check = 9,
  /// As read, of a copy over a slow link: a byte (0: as it is, 1: zstd), then the data.
  read_packed = 10,
};

/// One request to one node about one block. Fixed part of a frame on the wire.
struct IoRequest {
  IoOp op = IoOp::read;
  DiskId disk;
  Epoch epoch{};
  Session session{};  ///< 0: a node or a reader asks; only the epoch is checked, and only read-like
                      ///< ops are allowed
  Sequence sequence{};  ///< of mutating requests
  Generation generation{1};
  BlockIndex block{};
  std::uint64_t offset_bytes = 0;  ///< within the block (within the disk for the _disk ops)
  std::uint32_t length_bytes = 0;
  std::uint64_t missing_mask = 0;  ///< members of the disk that will lack this change
  Payload data;                    ///< write: length_bytes bytes
};

/// What came of it. `code` and `what` are meaningful when !ok.
struct IoReply {
  bool ok = true;
  Code code = Code::io;
  std::string what;
  Payload data;

  static IoReply failed(Code code, std::string what) {
    IoReply reply;
    reply.ok = false;
    reply.code = code;
    reply.what = std::move(what);
    return reply;
  }
  static IoReply failed(const Error& error) { return failed(error.code, error.what); }
};

}  // namespace ukai
