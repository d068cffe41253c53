// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

#include "ukai/result.h"

namespace ukai {

/// Where the metadata lives: "HOST:PORT[,HOST:PORT…][/CHROOT]".
struct MetadataAddress {
  std::string servers;  ///< "zk1:2181,zk2:2181"
  std::string chroot;   ///< "" or "/a/b", no slash at its end

  std::string to_string() const { return servers + chroot; }
};

/// Accepts names, IPv4 addresses and IPv6 addresses in brackets; a slash at the end means nothing.
/// invalid: one line that quotes the address and says which part of it is wrong.
Result<MetadataAddress> parse_metadata_address(std::string_view text);

}  // namespace ukai
