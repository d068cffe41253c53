// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rpc/io_handler.h"
#include "ukai/result.h"

namespace ukai {

struct DataServerOptions {
  std::string listen;  ///< host:port; port 0: the kernel chooses
  std::vector<std::string>
      identities;        ///< whom clients may mean (node_identity(), host_identity())
  unsigned threads = 1;  ///< a stream stays on one of them, so its requests keep order
};

/// Serves data streams: hands each request to the handler, inline where it can be, and sends the
/// replies in natural batches. Requests of one stream are begun in the order they arrive; replies
/// leave as they become ready.
///
/// A stream that has limits::stream_work_… in work is not read from until replies have left, so a
/// slow or stopped peer costs a bounded amount of memory. A message that is not well-formed ends
/// its stream.
///
/// Threads: safe from any. `handler` outlives the server, and everything that it has started.
class DataServer {
 public:
  /// busy: the port is in use; invalid: the address is no good. One clear line each.
  static Result<std::unique_ptr<DataServer>> start(DataServerOptions options, IoHandler& handler);
  /// Ends all streams; replies to requests still in work are dropped when they come.
  ~DataServer();

  std::uint16_t port() const;

 private:
  struct Impl;
  explicit DataServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
