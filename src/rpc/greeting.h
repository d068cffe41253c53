// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ukai/bytes.h"
#include "ukai/result.h"

/// The records that are not frames: how a data connection begins and ends (docs/protocol.md). Pure.
namespace ukai {

inline constexpr std::size_t hello_bytes_max = 256;

/// The client's first record: the protocol's version and whom it means (empty: whoever listens).
Payload encode_hello(std::string_view identity);
/// The identity. refused: another version; invalid: not a hello at all.
Result<std::string> decode_hello(const Payload& record);

/// The server's first record, once it has accepted the client.
Payload encode_welcome();
bool is_welcome(const Payload& record);

/// The server's last record: why it ends the connection.
Payload encode_farewell(const Error& why);
/// nullopt: it is something else.
std::optional<Error> decode_farewell(const Payload& record);

}  // namespace ukai
