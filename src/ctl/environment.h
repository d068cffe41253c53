// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "ctl/daemon_calls.h"
#include "ukai/catalog.h"
#include "ukai/job_store.h"

namespace ukai::ctl {

struct ConnectOptions {
  std::string servers;  ///< HOSTS/CHROOT, as the operator wrote it
  std::chrono::milliseconds timeout{10'000};
  bool create_chroot = false;  ///< else a wrong address leaves nothing behind
};

/// The cluster one command works on. Destroying it ends the session with the metadata servers.
class Cluster {
 public:
  virtual ~Cluster() = default;
  virtual Catalog& catalog() = 0;
  virtual JobStore& jobs() = 0;
  virtual DaemonCalls& calls() = 0;
};

/// Everything ukaictl knows of the world around it, so that tests run commands in process.
struct Environment {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::string identity{};  ///< holder of the leases this process takes: "ukaictl@<machine>:<pid>"
  std::function<std::optional<std::string>(const std::string&)> variable{};
  /// invalid: the servers' address has a wrong form. Does not wait for a connection.
  std::function<Result<std::unique_ptr<Cluster>>(const ConnectOptions&)> connect{};
  std::function<std::uint64_t()> unix_s{};
  /// True once the user has pressed Ctrl-C.
  std::function<bool()> interrupted{};
  /// How many seconds this process may go on after Ctrl-C; for what has something to undo.
  std::function<void(unsigned)> stop_patience{};
  std::string author{};  ///< of the events that this process leaves: "alice@admin"
  /// One line that the operator types; unset: nobody is at a terminal.
  std::function<std::optional<std::string>()> ask_line{};
};

}  // namespace ukai::ctl
