// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ukai/coordination.h"

namespace ukai {

/// What ZooKeeper takes in one packet is 1 MB less one byte; the rest is left for headers.
inline constexpr std::size_t transaction_bytes_max = 1'000'000;

/// Refuses what ZooKeeper would: relative paths, empty or dotted components, control characters.
Result<> check_znode_path(std::string_view path);

/// Refuses too many steps, a value that is too large, and what does not fit one packet: ZooKeeper
/// answers the latter by closing the connection, which would look like a lost one for ever.
Result<> check_transaction(const std::vector<Op>& ops);

/// The same words for the same failure, whichever Coordination found it.
Error znode_error(Code code, std::string_view path);

/// "/a/b" -> "/a"; "/a" -> "/".
std::string parent_of(std::string_view path);

}  // namespace ukai
