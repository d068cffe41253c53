// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/control_server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>

#include "rpc/channels.h"
#include "ukai/limits.h"

namespace ukai {

struct ControlServer::Impl {
  std::vector<std::shared_ptr<grpc::Service>> services;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

Result<std::unique_ptr<ControlServer>> ControlServer::start(
    const std::string& listen, std::vector<std::shared_ptr<grpc::Service>> services) {
  if (auto address = parse_address(listen); !address) return address.error();
  auto impl = std::make_unique<Impl>();
  impl->services = std::move(services);
  grpc::ServerBuilder builder;
  tune_control_server(builder);
  listen_on(builder, listen, &impl->port);
  for (const auto& service : impl->services) builder.RegisterService(service.get());
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) return cannot_listen(listen);
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
  impl_->server->Shutdown(std::chrono::system_clock::now() + limits::server_grace);
}

std::uint16_t ControlServer::port() const { return static_cast<std::uint16_t>(impl_->port); }

}  // namespace ukai
