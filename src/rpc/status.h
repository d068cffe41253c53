// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ukai/result.h"

namespace grpc {
class Status;
}

/// Errors on the wire: the one place where Code meets gRPC's status codes and the status byte of a
/// reply frame (docs/protocol.md has the table).
namespace ukai {

/// Status byte of a reply that succeeded.
inline constexpr std::uint8_t wire_ok = 0;
/// Never wire_ok.
std::uint8_t wire_status(Code code);
/// nullopt: no Code has this number.
std::optional<Code> code_from_wire(std::uint8_t status);

/// The code closest in meaning; the exact Code goes along in the status details.
grpc::Status to_grpc(const Error& error);
/// The same back. A status that our servers did not make comes from gRPC itself: it means that the
/// peer was not reached, unless it says that the call was bad. `peer` begins the message then.
Error from_grpc(const grpc::Status& status, std::string_view peer);

}  // namespace ukai
