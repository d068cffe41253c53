// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ukai/result.h"

namespace grpc {
class Service;
}

namespace ukai {

/// Serves unary calls on a port of its own, on gRPC's threads.
/// Threads: start and destroy on one. What the services refer to outlives the server.
class ControlServer {
 public:
  /// `listen` is host:port; port 0: the kernel chooses. busy: the port is in use; invalid: the
  /// address is no good. One clear line each.
  static Result<std::unique_ptr<ControlServer>> start(
      const std::string& listen, std::vector<std::shared_ptr<grpc::Service>> services);
  /// Lets calls under way end for limits::server_grace, then cancels them.
  ~ControlServer();

  std::uint16_t port() const;

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
