// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "ukai/bytes.h"

namespace ukai {

/// The same bytes for gRPC, which keeps the owners of the pieces alive as long as it needs them:
/// longer than until the peer has answered, and it lets go of them on any thread.
grpc::ByteBuffer to_byte_buffer(const Payload& payload);

/// The same bytes, which keep the received memory alive. Empties `buffer`.
Payload from_byte_buffer(grpc::ByteBuffer& buffer);

}  // namespace ukai
