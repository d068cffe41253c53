// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/metadata_address.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/text.h"
#include "metadata/znode_rules.h"

namespace ukai {

namespace {

constexpr std::uint32_t port_max = 65535;

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool is_ipv6_char(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.';
}

bool good_host(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string_view inner = host.substr(1, host.size() - 2);
    return std::all_of(inner.begin(), inner.end(), is_ipv6_char);
  }
  return !host.empty() && std::all_of(host.begin(), host.end(), is_host_char);
}

/// Empty: fine; else what is wrong with one "HOST:PORT".
std::string fault_of_server(std::string_view server) {
  const std::string quoted = "\"" + printable(server) + "\"";
  if (server.empty()) return "a server is empty";
  const std::size_t colon = server.rfind(':');
  const bool colon_in_brackets = colon != std::string_view::npos && server.back() == ']';
  if (colon == std::string_view::npos || colon_in_brackets) return quoted + " has no port";
  if (!good_host(server.substr(0, colon))) return quoted + " has no valid host";
  const std::string_view digits = server.substr(colon + 1);
  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size();
  if (!whole || port == 0 || port > port_max) return quoted + " has no valid port (1 to 65535)";
  return "";
}

}  // namespace

Result<MetadataAddress> parse_metadata_address(std::string_view text) {
  const auto refuse = [text](const std::string& why) {
    return Error{Code::invalid, "metadata address \"" + printable(text) + "\": " + why +
                                    "; expected HOST:PORT[,HOST:PORT...][/CHROOT]"};
  };
  if (text.empty()) return refuse("it is empty");
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view servers = text.substr(0, slash);
  std::size_t begin = 0;
  while (begin <= servers.size()) {
    const std::size_t end = std::min(servers.find(',', begin), servers.size());
    const std::string fault = fault_of_server(servers.substr(begin, end - begin));
    if (!fault.empty()) return refuse(fault);
    begin = end + 1;
  }
  std::string chroot(text.substr(slash));
  if (!chroot.empty() && chroot.back() == '/') chroot.pop_back();
  if (chroot == "/" || (!chroot.empty() && !check_znode_path(chroot))) {
    return refuse("\"" + printable(chroot) + "\" is no valid chroot");
  }
  if (chroot == "/zookeeper" || chroot.starts_with("/zookeeper/")) {
    return refuse("/zookeeper belongs to ZooKeeper itself");
  }
  return MetadataAddress{std::string(servers), std::move(chroot)};
}

}  // namespace ukai
