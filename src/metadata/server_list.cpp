// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/server_list.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <vector>

namespace ukai::zk {

namespace {

/// The C client cuts the port off at the last colon, and knows no brackets around the host.
std::string without_brackets(std::string server) {
  std::erase_if(server, [](char c) { return c == '[' || c == ']'; });
  return server;
}

std::vector<std::string> split(const std::string& servers) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin <= servers.size();) {
    const std::size_t end = std::min(servers.find(',', begin), servers.size());
    out.push_back(without_brackets(servers.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

/// Numeric "ADDRESS:PORT" of each address of `server`, asked for as the C client does.
Result<std::vector<std::string>> resolve(const std::string& server) {
  const std::size_t colon = server.rfind(':');
  const std::string port = server.substr(colon + 1);
  addrinfo hints{};
  hints.ai_flags = AI_ADDRCONFIG;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int error = getaddrinfo(server.substr(0, colon).c_str(), port.c_str(), &hints, &first);
  if (error != 0) {
    return Error{Code::unreachable, "ZooKeeper server " + server + ": " + gai_strerror(error)};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(first, &freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* at = first; at; at = at->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.push_back(std::string(text.data()) + ":" + port);
    }
  }
  return addresses;
}

}  // namespace

Result<std::string> odd_server_list(const std::string& servers) {
  std::string list;
  std::vector<std::string> addresses;
  Error last{Code::unreachable, "no ZooKeeper server is named"};
  for (const std::string& server : split(servers)) {
    list += (list.empty() ? "" : ",") + server;
    auto found = resolve(server);
    if (found.ok()) addresses.insert(addresses.end(), found->begin(), found->end());
    if (!found) last = found.error();
  }
  if (addresses.empty()) return last;
  if (addresses.size() % 2 == 0) {
    // Any of them, so that not all clients prefer the same server.
    std::random_device random;
    list += "," + addresses[random() % addresses.size()];
  }
  return list;
}

}  // namespace ukai::zk
