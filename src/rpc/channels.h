// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "ukai/limits.h"
#include "ukai/result.h"
#include "ukai/scheduler.h"

namespace grpc {
class Channel;
class ClientContext;
class ServerBuilder;
class ServerContextBase;
}  // namespace grpc

/// The one place where channels, servers and credentials are made, and where callers and daemons
/// tell each other who they are. Today everything is in the clear; TLS and roles come in here.
namespace ukai {

/// The longest message: at most one frame that exceeds a batch.
inline constexpr std::size_t message_bytes_max = limits::frame_bytes_max + limits::batch_bytes_max;

/// Call it first thing in main(): gRPC's own logging goes to ours, and abseil's search for lock
/// cycles, which Debian's build has on and which costs up to a quarter of the rate, goes off.
void prepare_grpc();

/// Who a daemon is to its callers: "node/n1", "host/h1".
std::string node_identity(std::string_view node_id);
std::string host_identity(std::string_view host_id);

/// Begins a connection of its own to `address` ("host:port") for one data stream; it may still be
/// under way. Waits for the resolver when the host is a name.
Result<UniqueFd> connect_data(const std::string& address);
/// For unary calls; connects, and connects again after a break, by itself.
std::shared_ptr<grpc::Channel> make_control_channel(const std::string& address);

/// Says in a call who is meant: an address that now belongs to another daemon then refuses.
/// Nothing when `identity` is empty.
void address_to(grpc::ClientContext& context, const std::string& identity);
/// refused: the call is meant for somebody who is none of `identities`, or speaks another version.
Result<> check_addressee(const grpc::ServerContextBase& context,
                         const std::vector<std::string>& identities);

/// The same for who is named in a data stream's greeting; empty: whoever listens.
Result<> check_addressee(std::string_view wanted, const std::vector<std::string>& identities);

/// "host:port", the host a name or an IPv4 address, or "[IPv6]:port". invalid otherwise; port 0 is
/// fine, as the kernel then chooses.
struct HostPort {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
};
Result<HostPort> parse_address(std::string_view address);
std::string format_address(const HostPort& address);

/// Adds `address` to the server; after BuildAndStart, *bound_port is the port, or 0 when it failed.
void listen_on(grpc::ServerBuilder& builder, const std::string& address, int* bound_port);
/// After a failure: the one clear line that says why.
Error cannot_listen(const std::string& address);
/// Whether a server could listen there now; for daemons that change something before they do.
/// Errors as cannot_listen().
Result<> check_listen(const std::string& address);
/// A listening socket for data streams. Errors as cannot_listen().
Result<UniqueFd> listen_data(const std::string& address);
std::uint16_t port_of(const UniqueFd& socket);
/// Takes a client in; not valid: none waits.
UniqueFd accept_data(const UniqueFd& listening);
/// For a connection that has been made: near peers get what suits short messages.
void suit_distance(const UniqueFd& socket);
/// The settings of servers for unary calls.
void tune_control_server(grpc::ServerBuilder& builder);

}  // namespace ukai
