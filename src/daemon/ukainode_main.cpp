// SPDX-License-Identifier: BSD-2-Clause
//
// ukainode: a storage node.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/version.h"
#include "daemon/node_daemon.h"
#include "daemon/process.h"
#include "rpc/channels.h"

namespace ukai {
namespace {

/// The one clear line: for whoever started us, and in the log when that is elsewhere.
int fail(const Error& error, const log::Options& log_options) {
  std::fprintf(stderr, "ukainode: %s\n", error.what.c_str());
  if (!log_options.file.empty()) log::error("event=not_started reason=\"{}\"", error.what);
  return 1;
}

int run(const NodeConfig& config) {
  become_io_flusher();
  auto daemon = NodeDaemon::start(config);
  if (!daemon) return fail(daemon.error(), config.log);
  const ServiceAddresses& addresses = (*daemon)->addresses();
  log::info("event=ready node={} data={} control={} version={}", config.node.id, addresses.data,
            addresses.control, version_string);
  wait_for_stop();
  log::info("event=stopping node={}", config.node.id);
  leave_at_the_latest_after(limits::stop_patience, "ukainode");
  daemon->reset();
  log::info("event=stopped node={}", config.node.id);
  return 0;
}

int main_of_ukainode(int argc, char** argv) {
  prepare_grpc();
  prepare_process();
  CLI::App app("UKAI storage node: keeps the blocks of virtual disks.", "ukainode");
  std::string path;
  bool check = false;
  app.add_option("--config", path, "configuration file (TOML)")->required();
  app.add_flag("--check", check, "check the configuration file and exit");
  app.set_version_flag("--version", "ukainode " + std::string(version_string));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::Error& error) {
    std::fprintf(stderr, "ukainode: %s\n", error.what());
    return 2;
  }
  auto config = load_node_config(path);
  if (!config) return fail(config.error(), {});
  if (check) return 0;
  if (auto opened = log::open(config->log); !opened) return fail(opened.error(), {});
  return run(*config);
}

}  // namespace
}  // namespace ukai

int main(int argc, char** argv) { return ukai::main_of_ukainode(argc, argv); }
