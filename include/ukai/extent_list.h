// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "ukai/block_store.h"
#include "ukai/bytes.h"

namespace ukai {

/// The answer to IoOp::extents: pairs of u32 {begin, end}, little endian, sorted, within the block.
/// Pure.
Payload encode_extents(const std::vector<Extent>& extents);
/// corrupt: pairs are cut off, empty or not in order.
Result<std::vector<Extent>> decode_extents(const Payload& payload);

}  // namespace ukai
