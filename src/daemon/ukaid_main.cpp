// SPDX-License-Identifier: BSD-2-Clause
//
// ukaid: shows the disks of UKAI on a hypervisor host.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/version.h"
#include "daemon/host_daemon.h"
#include "daemon/process.h"
#include "daemon/takeover.h"
#include "rpc/channels.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

// Making gigabytes durable on several nodes takes longer than ending a node does.
constexpr auto host_stop_patience = 12s;

/// The one clear line: for whoever started us, and in the log when that is elsewhere.
int fail(const Error& error, const log::Options& log_options) {
  std::fprintf(stderr, "ukaid: %s\n", error.what.c_str());
  if (!log_options.file.empty()) log::error("event=not_started reason=\"{}\"", error.what);
  return 1;
}

void stop_because_unmounted() {
  log::warn("event=unmounted reason=\"somebody took the mount away\"");
  ::kill(::getpid(), SIGTERM);
}

void log_ready(const HostConfig& config, const HostDaemon& daemon) {
  const ServiceAddresses& addresses = daemon.addresses();
  log::info("event=ready host={} mount={} data={} control={} node={} version={}", config.id,
            daemon.mount_point(), addresses.data, addresses.control,
            config.node ? config.node->id : "-", version_string);
}

/// As long as no successor has begun to take the mount over; kept: a stop was asked for.
HandOver serve_once(const HostConfig& config, std::unique_ptr<HostDaemon>& daemon) {
  auto successors = SuccessorListener::open(config);
  if (!successors) log::error("event=no_takeover reason=\"{}\"", successors.error().what);
  log_ready(config, *daemon);
  if (!successors) wait_for_stop();
  while (successors.ok() && !wait_for_stop_or(successors->descriptor())) {
    auto successor = successors->accept();
    if (successor.ok()) {
      const auto outcome = hand_over(std::move(*successor), config, stop_because_unmounted, daemon);
      if (outcome != HandOver::kept) return outcome;
    } else if (!successor.failed_with(Code::unreachable)) {  // it only looked who is here
      log::warn("event=not_handed_over reason=\"{}\"", successor.error().what);
    }
  }
  return HandOver::kept;
}

HandOver serve(const HostConfig& config, std::unique_ptr<HostDaemon>& daemon) {
  for (;;) {
    const auto outcome = serve_once(config, daemon);
    if (outcome != HandOver::resumed) return outcome;
  }
}

int run(const HostConfig& config, bool takeover) {
  become_io_flusher();
  std::unique_ptr<Predecessor> predecessor;
  if (takeover) {
    auto found = Predecessor::find(config);
    if (!found) return fail(found.error(), config.log);
    predecessor = std::move(*found);
  }
  auto started = HostDaemon::start(config, stop_because_unmounted, predecessor.get());
  if (!started) return fail(started.error(), config.log);
  predecessor.reset();
  std::unique_ptr<HostDaemon> daemon = std::move(*started);
  const HandOver outcome = serve(config, daemon);
  if (outcome != HandOver::kept) return outcome == HandOver::gone ? 0 : 1;
  log::info("event=stopping host={}", config.id);
  leave_at_the_latest_after(host_stop_patience, "ukaid");
  daemon.reset();
  log::info("event=stopped host={}", config.id);
  return 0;
}

int main_of_ukaid(int argc, char** argv) {
  prepare_grpc();
  prepare_process();
  CLI::App app("UKAI host: mounts the virtual disks and replicates what guests write.", "ukaid");
  std::string path;
  bool check = false;
  bool foreground = true;
  bool takeover = false;
  app.add_option("--config", path, "configuration file (TOML)")->required();
  app.add_flag("--check", check, "check the configuration file and exit");
  app.add_flag("--foreground", foreground, "do not leave the terminal (always so)");
  app.add_flag("--takeover", takeover,
               "go on with the mount of the ukaid that runs with this configuration, which ends");
  app.set_version_flag("--version", "ukaid " + std::string(version_string));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::Error& error) {
    std::fprintf(stderr, "ukaid: %s\n", error.what());
    return 2;
  }
  auto config = load_host_config(path);
  if (!config) return fail(config.error(), {});
  if (check) return 0;
  if (auto opened = log::open(config->log); !opened) return fail(opened.error(), {});
  return run(*config, takeover);
}

}  // namespace
}  // namespace ukai

int main(int argc, char** argv) { return ukai::main_of_ukaid(argc, argv); }
