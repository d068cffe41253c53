// SPDX-License-Identifier: BSD-2-Clause
#include "harness/zookeeper_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace ukai::test {

namespace {

using namespace std::chrono_literals;

constexpr auto start_patience = 30s;
constexpr auto poll_pause = 20ms;
constexpr int ports_tried_max = 5;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// Free when asked; somebody may take it before the server does, hence ports_tried_max.
std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(fd);
  if (!bound) throw std::runtime_error("no free port on the loopback interface");
  return ntohs(address.sin_port);
}

/// In the child between fork and exec: nothing that allocates.
[[noreturn]] void become_java(pid_t parent, const char* config, const char* log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  execlp("java", "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
         "-Dzookeeper.forceSync=no", "-Djava.net.preferIPv4Stack=true", "-cp",
         "/usr/share/java/zookeeper.jar", "org.apache.zookeeper.server.ZooKeeperServerMain", config,
         static_cast<char*>(nullptr));
  _exit(127);
}

}  // namespace

ZooKeeperServer::ZooKeeperServer() {
  std::string pattern = (std::filesystem::temp_directory_path() / "ukai-zk-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder for ZooKeeper");
  folder_ = pattern;
  for (int attempt = 1;; ++attempt) {
    port_ = free_port();
    try {
      start();
      return;
    } catch (const std::runtime_error&) {
      kill();
      if (attempt < ports_tried_max) continue;
      std::filesystem::remove_all(folder_);
      throw;
    }
  }
}

ZooKeeperServer::~ZooKeeperServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string ZooKeeperServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

void ZooKeeperServer::pause() {
  ::kill(pid_, SIGSTOP);
  waitpid(pid_, nullptr, WUNTRACED);  // until its last thread has stopped
}
void ZooKeeperServer::resume() { ::kill(pid_, SIGCONT); }

void ZooKeeperServer::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void ZooKeeperServer::start() {
  spawn();
  const auto give_up = std::chrono::steady_clock::now() + start_patience;
  while (!serves()) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      throw std::runtime_error("ZooKeeper ended at once:\n" + output());
    }
    if (std::chrono::steady_clock::now() > give_up) {
      throw std::runtime_error("ZooKeeper does not serve:\n" + output());
    }
    std::this_thread::sleep_for(poll_pause);
  }
}

void ZooKeeperServer::spawn() {
  const std::string config = folder_ + "/zoo.cfg";
  const std::string log = folder_ + "/log";
  std::ofstream(config) << "dataDir=" << folder_ << "/data\n"
                        << "clientPort=" << port_ << "\n"
                        << "clientPortAddress=127.0.0.1\n"
                        << "tickTime=100\n"
                        << "minSessionTimeout=200\n"
                        << "maxSessionTimeout=60000\n"
                        << "maxClientCnxns=0\n"
                        << "admin.enableServer=false\n"
                        << "4lw.commands.whitelist=ruok\n";
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork for ZooKeeper");
  if (pid_ == 0) become_java(parent, config.c_str(), log.c_str());
}

bool ZooKeeperServer::serves() const {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port_);
  std::array<char, 4> reply{};
  const bool answered =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, "ruok", 4, MSG_NOSIGNAL) == 4 && recv(fd, reply.data(), 4, MSG_WAITALL) == 4;
  close(fd);
  return answered && std::string(reply.data(), 4) == "imok";
}

std::string ZooKeeperServer::output() const {
  std::stringstream text;
  text << std::ifstream(folder_ + "/log").rdbuf();
  return text.str();
}

}  // namespace ukai::test
