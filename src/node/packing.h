// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/bytes.h"
#include "ukai/result.h"

namespace ukai {

/// Data as it goes over a slow link: one byte that says how, and the data, compressed if that pays.
/// Whether it pays is tried on the first 4 KiB. Pure.
Payload pack(const Payload& data);

/// What pack() was given. corrupt: it is not `length` bytes of anything packed.
Result<Payload> unpack(const Payload& packed, std::size_t length);

}  // namespace ukai
