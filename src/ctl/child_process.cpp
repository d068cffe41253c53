// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/unique_fd.h"

namespace ukai::ctl {
namespace {

constexpr int look_interval_ms = 100;
// Far more than any answer that we read: nobody fills our memory.
constexpr std::size_t output_bytes_max = 16U << 20U;

Error failed(const std::string& program, int error) {
  return {Code::io, fmt::format("cannot run {}: {}", program, std::strerror(error))};
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe(const std::string& program) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed(program, errno);
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Our environment in the C locale: what it says is read by us.
std::vector<std::string> child_environment() {
  std::vector<std::string> out{"LC_ALL=C"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("LC_ALL=")) out.emplace_back(*entry);
  }
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

Result<pid_t> spawn(std::vector<std::string> argv, const Pipe& out, const Pipe& err) {
  std::vector<std::string> variables = child_environment();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, argv.front().c_str(), &actions, nullptr,
                                   pointers(argv).data(), pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) {
    return Error{Code::not_found, fmt::format("{} is not installed", argv.front())};
  }
  if (error != 0) return failed(argv.front(), error);
  return child;
}

/// False at its end.
bool take(UniqueFd& fd, std::string& into, const std::function<void(std::string_view)>& said) {
  std::array<char, 65536> piece{};
  const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  const std::string_view text(piece.data(), static_cast<std::size_t>(got));
  if (into.size() < output_bytes_max) into.append(text);
  if (said) said(text);
  return true;
}

/// Until both pipes are closed; false: told to stop.
bool listen(Pipe& out, Pipe& err, ChildEnd& end, const ChildWatch& watch) {
  std::array<pollfd, 2> waiting{pollfd{out.read.get(), POLLIN, 0},
                                pollfd{err.read.get(), POLLIN, 0}};
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
    if (watch.stop && watch.stop()) return false;
    if (::poll(waiting.data(), waiting.size(), look_interval_ms) <= 0) continue;
    if (waiting[0].revents != 0 && !take(out.read, end.out, watch.said)) waiting[0].fd = -1;
    if (waiting[1].revents != 0 && !take(err.read, end.err, nullptr)) waiting[1].fd = -1;
  }
  return true;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<ChildEnd> run_child(const std::vector<std::string>& argv, const ChildWatch& watch) {
  auto out = make_pipe(argv.front());
  if (!out) return out.error();
  auto err = make_pipe(argv.front());
  if (!err) return err.error();
  auto child = spawn(argv, *out, *err);
  if (!child) return child.error();
  out->write.reset();
  err->write.reset();
  ChildEnd end;
  const bool ended = listen(*out, *err, end, watch);
  if (!ended) ::kill(*child, SIGTERM);
  end.status = wait_for(*child);
  if (!ended) return Error{Code::io, fmt::format("{} was interrupted", argv.front())};
  return end;
}

}  // namespace ukai::ctl
