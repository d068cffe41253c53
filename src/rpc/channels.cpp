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
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr const char* protocol_key = "ukai-protocol";
constexpr const char* protocol_version = "1";
constexpr const char* addressee_key = "ukai-to";
// On one site.
constexpr auto near_round_trip = std::chrono::milliseconds(2);

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

/// What the resolver says of an address.
class Addresses {
 public:
  Addresses(const HostPort& address, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    const std::string port = std::to_string(address.port);
    if (::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &list_) != 0) list_ = nullptr;
  }
  ~Addresses() {
    if (list_ != nullptr) ::freeaddrinfo(list_);
  }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;
  const addrinfo* first() const { return list_; }

 private:
  addrinfo* list_ = nullptr;
};

UniqueFd make_socket(const addrinfo& at) {
  const int kind = at.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK;
  return UniqueFd(::socket(at.ai_family, kind, at.ai_protocol));
}

bool set_option(const UniqueFd& socket, int level, int option) {
  const int one = 1;
  return ::setsockopt(socket.get(), level, option, &one, sizeof one) == 0;
}

/// Listens at `address`; errno's number when that cannot be.
int try_to_listen(const HostPort& address, UniqueFd& out) {
  const Addresses found(address, AI_PASSIVE);
  if (found.first() == nullptr) return EADDRNOTAVAIL;
  out = make_socket(*found.first());
  if (!out.valid() || !set_option(out, SOL_SOCKET, SO_REUSEADDR) ||
      ::bind(out.get(), found.first()->ai_addr, found.first()->ai_addrlen) != 0 ||
      ::listen(out.get(), SOMAXCONN) != 0) {
    return errno;
  }
  return 0;
}

Result<UniqueFd> listening_socket(const std::string& address) {
  auto parsed = parse_address(address);
  if (!parsed) return parsed.error();
  UniqueFd socket;
  const int error = try_to_listen(*parsed, socket);
  if (error == 0) return socket;
  return Error{error == EADDRINUSE ? Code::busy : Code::invalid,
               fmt::format("cannot listen on {}: {}", address, std::strerror(error))};
}

}  // namespace

void prepare_grpc() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  gpr_set_log_function(&log_from_grpc);
}

std::string node_identity(std::string_view node_id) { return fmt::format("node/{}", node_id); }
std::string host_identity(std::string_view host_id) { return fmt::format("host/{}", host_id); }

std::shared_ptr<grpc::Channel> make_control_channel(const std::string& address) {
  grpc::ChannelArguments arguments = common_arguments();
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_bytes_max));
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
  return check_addressee(find(context.client_metadata(), addressee_key), identities);
}

Result<> check_addressee(std::string_view wanted, const std::vector<std::string>& identities) {
  if (wanted.empty() ||
      std::find(identities.begin(), identities.end(), wanted) != identities.end()) {
    return {};
  }
  return Error{Code::refused, fmt::format("meant for {}, but this is {}", printable(wanted),
                                          fmt::join(identities, " and "))};
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
  auto socket = listening_socket(address);
  if (!socket) return socket.error();
  return {};
}

Result<UniqueFd> listen_data(const std::string& address) { return listening_socket(address); }

std::uint16_t port_of(const UniqueFd& socket) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) return 0;
  const bool v6 = at.ss_family == AF_INET6;
  return ntohs(v6 ? reinterpret_cast<const sockaddr_in6&>(at).sin6_port
                  : reinterpret_cast<const sockaddr_in&>(at).sin_port);
}

UniqueFd accept_data(const UniqueFd& listening) {
  UniqueFd client(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (client.valid()) set_option(client, IPPROTO_TCP, TCP_NODELAY);
  return client;
}

/// BBR, where it is the system's choice, spaces packets by a timer; on a near link the messages of
/// a few requests wait for that, not for the link. For far ones the operator has chosen it.
void suit_distance(const UniqueFd& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
  if (std::chrono::microseconds(info.tcpi_rtt) >= near_round_trip) return;
  constexpr std::string_view unpaced = "cubic";
  // Where that may not be set, the connection is as good as the system makes it.
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, unpaced.data(), unpaced.size());
}

Result<UniqueFd> connect_data(const std::string& address) {
  auto parsed = parse_address(address);
  if (!parsed) return parsed.error();
  const Addresses found(*parsed, 0);
  Error failed{Code::unreachable, "the name is not known"};
  for (const addrinfo* at = found.first(); at != nullptr; at = at->ai_next) {
    UniqueFd socket = make_socket(*at);
    set_option(socket, IPPROTO_TCP, TCP_NODELAY);
    if (::connect(socket.get(), at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS) {
      return socket;
    }
    failed.what = std::strerror(errno);
  }
  return failed;
}

void tune_control_server(grpc::ServerBuilder& builder) {
  tune_common(builder);
  grpc::ResourceQuota quota("control");
  quota.SetMaxThreads(limits::control_threads_max);
  builder.SetResourceQuota(quota);
}

}  // namespace ukai
