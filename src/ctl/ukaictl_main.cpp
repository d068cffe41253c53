// SPDX-License-Identifier: BSD-2-Clause
//
// ukaictl: the operator's command. Everything but the process itself is in run().
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <iostream>

#include "ctl/connect.h"
#include "ctl/run.h"

namespace {

// How long a command may take to stop by itself after Ctrl-C, unless it says otherwise.
volatile std::sig_atomic_t stop_patience_s = 1;

volatile std::sig_atomic_t stop_signal = 0;

/// The shell should see that a signal ended us, not an exit status of our own.
[[noreturn]] void die_of_signal() {
  std::signal(stop_signal, SIG_DFL);
  std::raise(stop_signal);
  std::_Exit(128 + stop_signal);
}

/// The first one asks, the second one, or a second later, ends us.
extern "C" void on_stop(int signal) {
  if (stop_signal != 0) die_of_signal();
  stop_signal = signal;
  alarm(static_cast<unsigned>(stop_patience_s));
}

extern "C" void on_alarm(int) { die_of_signal(); }

void install_handlers() {
  struct sigaction action {};
  action.sa_flags = SA_RESTART | SA_NODEFER;
  action.sa_handler = on_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, nullptr);
}

std::string identity() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  return fmt::format("ukaictl@{}:{}", name.data(), getpid());
}

/// "alice@admin"
std::string author() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  const passwd* user = getpwuid(geteuid());
  const std::string who = user != nullptr ? user->pw_name : std::to_string(geteuid());
  return fmt::format("{}@{}", who, name.data());
}

std::optional<std::string> ask_line() {
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace

int main(int argc, char** argv) {
  install_handlers();
  std::ios::sync_with_stdio(false);
  ukai::ctl::Environment environment{std::cout, std::cerr};
  environment.out_is_terminal = isatty(STDOUT_FILENO) != 0;
  environment.err_is_terminal = isatty(STDERR_FILENO) != 0;
  environment.identity = identity();
  environment.author = author();
  if (isatty(STDIN_FILENO) != 0 && environment.err_is_terminal) environment.ask_line = ask_line;
  environment.variable = variable;
  environment.connect = ukai::ctl::connect_cluster;
  environment.unix_s = [] { return static_cast<std::uint64_t>(std::time(nullptr)); };
  environment.interrupted = [] { return stop_signal != 0; };
  environment.stop_patience = [](unsigned seconds) {
    stop_patience_s = static_cast<std::sig_atomic_t>(seconds);
  };
  const std::vector<std::string> args(argv + 1, argv + argc);
  const int status = ukai::ctl::run(args, environment);
  if (status == ukai::ctl::interrupted_status) die_of_signal();
  return status;
}
