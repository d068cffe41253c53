// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ctl/environment.h"
#include "ctl/settings.h"

namespace ukai::ctl {

/// One run of one command: its settings, the cluster and where output goes.
/// Threads: that of the command; ask() blocks it.
class Context {
 public:
  Context(Environment& environment, Settings settings)
      : environment_(environment), settings_(std::move(settings)) {}

  /// invalid: nobody named the metadata servers, or their address has a wrong form. Must have
  /// succeeded before catalog() and calls() are used.
  /// `create_chroot`: for the one command that lays a tree out.
  Result<> connect(bool create_chroot = false);

  Environment& environment() { return environment_; }
  const Settings& settings() const { return settings_; }
  Catalog& catalog() { return cluster_->catalog(); }
  JobStore& jobs() { return cluster_->jobs(); }
  DaemonCalls& calls() { return cluster_->calls(); }

  /// Waits for an answer of the metadata; a failure to reach it names the servers.
  template <class T>
  Result<T> ask(Task<Result<T>> task) {
    Result<T> result = sync_wait(std::move(task));
    if (!result) return explain(result.error());
    return result;
  }
  /// `error` as it comes from the catalog, with the servers' address when they did not answer.
  Error explain(const Error& error) const;

  bool json() const { return settings_.json; }
  void print(std::string_view text) { environment_.out << text; }
  /// The same, seen at once even by a reader at the end of a pipe.
  void print_now(std::string_view text) { environment_.out << text << std::flush; }

 private:
  Environment& environment_;
  Settings settings_;
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace ukai::ctl
