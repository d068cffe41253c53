// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rpc/transport.h"
#include "ukai/io.h"
#include "ukai/node_link.h"
#include "ukai/scheduler.h"

namespace ukai {

struct DataClientOptions {
  std::string address;   ///< host:port of the data server
  std::string identity;  ///< whom we mean (node_identity()); empty: whoever listens there
  std::string peer;      ///< in error texts: "n1"
  /// Called on a scheduler thread after the connection came up or broke: look at condition(). A
  /// call that has begun may outlast the client.
  std::function<void()> on_connection;
};

/// The client side of one data stream: requests go out in natural batches (whatever has gathered
/// while the last message was on its way), replies run their `done` on the
/// reactor that Transport has for data.
///
/// While a connection is being made, requests wait for it, within their deadline. They fail at once
/// while the peer is known not to be reachable, and when the connection breaks. It connects again
/// by itself, with a growing pause.
///
/// Errors a request can end with, besides those that the peer answers: unreachable (no connection,
/// it broke, no answer within the deadline, too many requests waiting), shut_down.
///
/// Threads: safe from any. `done` runs exactly once: on the reactor, on a scheduler
/// thread, or inside submit() or the destructor when there is no connection. The destructor may run
/// anywhere, `done` included. Transport and scheduler outlive the client.
class DataClient {
 public:
  DataClient(Transport& transport, Scheduler& scheduler, DataClientOptions options);
  ~DataClient();

  /// Connects, if that has not begun; submit() does it too.
  void connect();
  /// There is a reason to think that the peer is back: do not wait for the pause's end.
  void connect_now();
  void submit(IoRequest request, Duration deadline, NodeLink::Done done);
  NodeLink::Condition condition() const;

 private:
  class Core;
  std::shared_ptr<Core> core_;  // shared with its socket, and with timers' calls under way
};

}  // namespace ukai
