// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/channels.h"

#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr const char* protocol_key = "ukai-protocol";
constexpr const char* protocol_version = "1";
constexpr const char* addressee_key = "ukai-to";

/// Empty when there is no such key.
std::string_view find(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                      const char* key) {
  auto found = metadata.find(key);
  if (found == metadata.end()) return {};
  return {found->second.data(), found->second.size()};
}

int milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

/// Messages carry at most one frame that exceeds a batch.
constexpr int message_bytes_max =
    static_cast<int>(limits::frame_bytes_max + limits::batch_bytes_max);

grpc::ChannelArguments common_arguments() {
  grpc::ChannelArguments arguments;
  // Two links to one address must not share a connection: a batch would stand before a heartbeat.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(limits::keepalive_interval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(limits::keepalive_timeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   milliseconds(limits::reconnect_backoff_min));
  // Despite its name this bounds how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, milliseconds(limits::connect_timeout));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, milliseconds(limits::reconnect_backoff_max));
  // Daemons reach each other directly; a proxy set for a shell's user must not come between.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

void tune_common(grpc::ServerBuilder& builder) {
  // Without this a second daemon on the same port would start, and get half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             milliseconds(limits::keepalive_interval) / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // So that the streams of hosts that died are not kept for ever; nobody waits for this.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(limits::server_keepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(limits::server_keepalive));
}

void log_from_grpc(gpr_log_func_args* args) {
  log::debug("event=grpc severity={} text=\"{}\"", gpr_log_severity_string(args->severity),
             args->message);
}

/// Tries to bind `address` as gRPC did, because gRPC does not say what went wrong. 0: it works now.
int bind_errno(const HostPort& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list) !=
      0) {
    return EADDRNOTAVAIL;
  }
  int error = 0;
  const int fd = ::socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, list->ai_protocol);
  const int one = 1;
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      ::bind(fd, list->ai_addr, list->ai_addrlen) != 0 || ::listen(fd, 1) != 0) {
    error = errno;
  }
  if (fd >= 0) ::close(fd);
  ::freeaddrinfo(list);
  return error;
}

}  // namespace

void prepare_grpc() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  gpr_set_log_function(&log_from_grpc);
}

std::string node_identity(std::string_view node_id) { return fmt::format("node/{}", node_id); }
std::string host_identity(std::string_view host_id) { return fmt::format("host/{}", host_id); }

std::shared_ptr<grpc::Channel> make_data_channel(const std::string& address) {
  grpc::ChannelArguments arguments = common_arguments();
  arguments.SetMaxReceiveMessageSize(message_bytes_max);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

std::shared_ptr<grpc::Channel> make_control_channel(const std::string& address) {
  grpc::ChannelArguments arguments = common_arguments();
  arguments.SetMaxReceiveMessageSize(message_bytes_max);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void address_to(grpc::ClientContext& context, const std::string& identity) {
  context.AddMetadata(protocol_key, protocol_version);
  if (!identity.empty()) context.AddMetadata(addressee_key, identity);
}

Result<> check_addressee(const grpc::ServerContextBase& context,
                         const std::vector<std::string>& identities) {
  const std::string_view version = find(context.client_metadata(), protocol_key);
  if (version != protocol_version) {
    return Error{Code::refused, fmt::format("protocol version {} is spoken here, not '{}'",
                                            protocol_version, printable(version))};
  }
  const std::string_view wanted = find(context.client_metadata(), addressee_key);
  if (wanted.empty() ||
      std::find(identities.begin(), identities.end(), wanted) != identities.end()) {
    return {};
  }
  return Error{Code::refused, fmt::format("meant for {}, but this is {}", printable(wanted),
                                          fmt::join(identities, " and "))};
}

std::pair<std::string, std::string> server_greeting() { return {protocol_key, protocol_version}; }

bool greeted(const grpc::ClientContext& context) {
  return find(context.GetServerInitialMetadata(), protocol_key) == protocol_version;
}

Result<HostPort> parse_address(std::string_view address) {
  const Error bad{Code::invalid, fmt::format("'{}' is not HOST:PORT", address)};
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad;
  std::string_view host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad;
  }
  const std::string_view digits = address.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || digits.empty() || error != std::errc() ||
      end != digits.data() + digits.size()) {
    return bad;
  }
  return HostPort{std::string(host), port};
}

std::string format_address(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

void listen_on(grpc::ServerBuilder& builder, const std::string& address, int* bound_port) {
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), bound_port);
}

Error cannot_listen(const std::string& address) {
  if (auto why = check_listen(address); !why) return why.error();
  return Error{Code::invalid, fmt::format("cannot listen on {}: unknown reason", address)};
}

Result<> check_listen(const std::string& address) {
  auto parsed = parse_address(address);
  if (!parsed) return parsed.error();
  const int error = bind_errno(*parsed);
  if (error == 0) return {};
  return Error{error == EADDRINUSE ? Code::busy : Code::invalid,
               fmt::format("cannot listen on {}: {}", address, std::strerror(error))};
}

void tune_data_server(grpc::ServerBuilder& builder) {
  tune_common(builder);
  builder.SetMaxReceiveMessageSize(message_bytes_max);
}

void tune_control_server(grpc::ServerBuilder& builder) {
  tune_common(builder);
  grpc::ResourceQuota quota("control");
  quota.SetMaxThreads(limits::control_threads_max);
  builder.SetResourceQuota(quota);
}

}  // namespace ukai
