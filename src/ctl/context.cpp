// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/context.h"

#include <fmt/format.h>

#include "metadata/tree_version.h"

namespace ukai::ctl {

Result<> Context::connect(bool create_chroot) {
  if (settings_.servers.empty()) {
    return Error{Code::invalid,
                 "no metadata servers are named: use --metadata HOSTS/CHROOT, UKAI_METADATA, or "
                 "[metadata] servers in --config FILE"};
  }
  ConnectOptions options{settings_.servers, settings_.timeout, create_chroot};
  auto cluster = environment_.connect(options);
  if (!cluster) return cluster.error();
  cluster_ = std::move(*cluster);
  cluster_->catalog().set_author(environment_.author);
  return sync_wait(check_tree_version(cluster_->catalog().coordination()));
}

Error Context::explain(const Error& error) const {
  const bool silent = error.code == Code::unreachable || error.code == Code::unknown;
  if (!silent || error.what.find(settings_.servers) != std::string::npos) return error;
  return {error.code, fmt::format("metadata servers {}: {}", settings_.servers, error.what)};
}

}  // namespace ukai::ctl
