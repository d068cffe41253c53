// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/takeover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/version.h"
#include "daemon/process.h"
#include "fuse/mount_point.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t takeover_version = 1;
constexpr const char* socket_name = "takeover";
constexpr std::size_t message_bytes_max = 64U << 20;
constexpr auto hello_patience = 2s;    // it is sent at once
constexpr auto answer_patience = 60s;  // draining, and giving the leases back
constexpr auto ready_patience = 30s;   // guests wait meanwhile
constexpr auto retry_pause = 200ms;

/// A folder's path may be longer than what fits into a socket's address.
struct SocketPath {
  UniqueFd folder;
  sockaddr_un address{};
};

Result<SocketPath> path_in(const std::string& state_dir) {
  SocketPath out;
  out.folder.reset(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!out.folder.valid()) {
    return Error{Code::invalid, fmt::format("state folder {}: {}", state_dir, strerror(errno))};
  }
  out.address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", out.folder.get(), socket_name);
  path.copy(out.address.sun_path, sizeof out.address.sun_path - 1);
  return out;
}

const sockaddr* raw_address(const SocketPath& path) {
  return reinterpret_cast<const sockaddr*>(&path.address);
}

/// What the kernel was told when the mount was made, and whose it is.
pb::TakeoverHello hello_of(const HostConfig& config) {
  pb::TakeoverHello hello;
  hello.set_version(takeover_version);
  hello.set_program_version(std::string(version_string));
  auto& same = *hello.mutable_must_match();
  same["host.id"] = config.id;
  same["host.mount_point"] = config.fuse.mount_point;
  same["fuse.subtype"] = config.fuse.subtype;
  same["fuse.allow_other"] = fmt::format("{}", config.fuse.allow_other);
  same["fuse.default_permissions"] = fmt::format("{}", config.fuse.default_permissions);
  same["fuse.kernel_cache"] = fmt::format("{}", config.fuse.kernel_cache);
  return hello;
}

std::optional<std::string> misfit(const pb::TakeoverHello& own, const pb::TakeoverHello& theirs) {
  if (theirs.version() != own.version()) {
    return fmt::format(
        "the running ukaid {} hands over by version {} of the takeover, {} asks for version {}",
        own.program_version(), own.version(), theirs.program_version(), theirs.version());
  }
  for (const auto& [key, value] : own.must_match()) {
    const auto found = theirs.must_match().find(key);
    const std::string other = found == theirs.must_match().end() ? "" : found->second;
    if (other == value) continue;
    return fmt::format("the running ukaid was started with {} = {}, not {}", key, value, other);
  }
  return std::nullopt;
}

void set_patience(int socket, std::chrono::milliseconds patience) {
  timeval time{};
  time.tv_sec = patience.count() / 1000;
  time.tv_usec = patience.count() % 1000 * 1000;
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    static_cast<void>(::setsockopt(socket, SOL_SOCKET, option, &time, sizeof time));
  }
}

Error broken() {
  return {Code::unreachable, "the other ukaid ended, or did not answer, during the takeover"};
}

/// The descriptor in a message, if there is one.
void take_descriptor(msghdr& message, UniqueFd* out) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    int number = -1;
    std::memcpy(&number, CMSG_DATA(part), sizeof number);
    UniqueFd taken(number);
    if (out != nullptr) *out = std::move(taken);
  }
}

/// The mount of this very process, which nobody else has wanted in the end.
class OwnMount final : public MountSource {
 public:
  explicit OwnMount(const Inherited& mount) : mount_(mount) {}
  Result<Inherited> take() override {
    Inherited out;
    out.state = mount_.state;
    out.device.reset(::fcntl(mount_.device.get(), F_DUPFD_CLOEXEC, 3));
    if (!out.device.valid()) return Error{Code::io, "the FUSE device cannot be used again"};
    return out;
  }
  Result<> keep() override { return Unit{}; }

 private:
  const Inherited& mount_;
};

/// Until it works: the guests wait for it, and the successor may still be ending.
HandOver go_on(const HostConfig& config, const std::function<void()>& unmounted,
               const Inherited& mount, std::unique_ptr<HostDaemon>& daemon) {
  for (;;) {
    OwnMount own(mount);
    auto started = HostDaemon::start(config, unmounted, &own);
    if (started.ok()) {
      daemon = std::move(*started);
      return HandOver::resumed;
    }
    log::error("event=mount_not_served reason=\"{}\"", started.error().what);
    if (!wait_for_stop(retry_pause)) continue;
    const auto away = fuse::take_mount_away(mount.state.path());
    if (!away) log::warn("event=unmount_failed reason='{}'", away.error().what);
    return HandOver::lost;
  }
}

}  // namespace

Result<> TakeoverSocket::send(const google::protobuf::MessageLite& message, int descriptor) {
  std::string bytes(sizeof(std::uint32_t), '\0');
  message.AppendToString(&bytes);
  const auto length = static_cast<std::uint32_t>(bytes.size() - sizeof(std::uint32_t));
  std::memcpy(bytes.data(), &length, sizeof length);
  for (std::size_t sent = 0; sent < bytes.size();) {
    iovec piece{bytes.data() + sent, bytes.size() - sent};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (sent == 0 && descriptor >= 0) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      cmsghdr* part = CMSG_FIRSTHDR(&header);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
    }
    const ssize_t done = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return broken();
    sent += static_cast<std::size_t>(done);
  }
  return Unit{};
}

Result<> TakeoverSocket::read(std::string& out, std::size_t bytes, UniqueFd* descriptor) {
  out.resize(bytes);
  for (std::size_t got = 0; got < bytes;) {
    iovec piece{out.data() + got, bytes - got};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t done = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return broken();
    take_descriptor(header, descriptor);
    got += static_cast<std::size_t>(done);
  }
  return Unit{};
}

Result<> TakeoverSocket::receive(google::protobuf::MessageLite& out,
                                 std::chrono::milliseconds patience, UniqueFd* descriptor) {
  set_patience(socket_.get(), patience);
  std::string bytes;
  if (auto got = read(bytes, sizeof(std::uint32_t), descriptor); !got) return got;
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > message_bytes_max) return Error{Code::invalid, "a takeover message is too long"};
  if (auto got = read(bytes, length, descriptor); !got) return got;
  if (!out.ParseFromString(bytes)) {
    return Error{Code::invalid, "a takeover message does not parse"};
  }
  return Unit{};
}

Result<UniqueFd> Predecessor::connect() const {
  auto path = path_in(state_dir_);
  if (!path) return path.error();
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.valid() && ::connect(socket.get(), raw_address(*path), sizeof path->address) == 0) {
    return socket;
  }
  return Error{Code::not_found,
               fmt::format("no running ukaid to take over from: state folder {}: {}", state_dir_,
                           std::strerror(errno))};
}

Result<std::unique_ptr<Predecessor>> Predecessor::find(const HostConfig& config) {
  std::unique_ptr<Predecessor> out(new Predecessor(config.state_dir, hello_of(config)));
  if (auto there = out->connect(); !there) return there.error();
  return out;
}

Result<Inherited> Predecessor::take() {
  auto connected = connect();
  if (!connected) return connected.error();
  socket_ = TakeoverSocket(std::move(*connected));
  if (auto sent = socket_.send(hello_); !sent) return sent.error();
  pb::TakeoverAnswer answer;
  Inherited out;
  if (auto got = socket_.receive(answer, answer_patience, &out.device); !got) return got.error();
  if (!answer.refused().empty()) return Error{Code::refused, answer.refused()};
  if (!out.device.valid()) return Error{Code::invalid, "no FUSE device was handed over"};
  out.state = std::move(*answer.mutable_mount());
  return out;
}

Result<> Predecessor::keep() {
  pb::TakeoverStep step;
  step.set_process(static_cast<std::uint64_t>(::getpid()));
  if (auto sent = socket_.send(step); !sent) return sent;
  return socket_.receive(step, answer_patience);
}

Result<SuccessorListener> SuccessorListener::open(const HostConfig& config) {
  const auto bad = [&] {
    return Error{Code::invalid, fmt::format("state folder {}: cannot listen for a successor: {}",
                                            config.state_dir, std::strerror(errno))};
  };
  auto path = path_in(config.state_dir);
  if (!path) return path.error();
  ::unlinkat(path->folder.get(), socket_name, 0);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Nobody can connect before it listens.
  if (!socket.valid() || ::bind(socket.get(), raw_address(*path), sizeof path->address) != 0 ||
      ::fchmodat(path->folder.get(), socket_name, 0600, 0) != 0 || ::listen(socket.get(), 1) != 0) {
    return bad();
  }
  return SuccessorListener(std::move(socket), hello_of(config));
}

Result<TakeoverSocket> SuccessorListener::accept() {
  UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection.valid()) return broken();
  TakeoverSocket successor(std::move(connection));
  pb::TakeoverHello hello;
  if (auto got = successor.receive(hello, hello_patience); !got) return got.error();
  if (const auto why = misfit(own_, hello)) {
    pb::TakeoverAnswer answer;
    answer.set_refused(*why);
    static_cast<void>(successor.send(answer));
    return Error{Code::refused, *why};
  }
  return successor;
}

HandOver hand_over(TakeoverSocket successor, const HostConfig& config,
                   const std::function<void()>& unmounted, std::unique_ptr<HostDaemon>& daemon) {
  const auto begun = std::chrono::steady_clock::now();
  pb::TakeoverAnswer answer;
  // 1. From here on guests wait.
  auto mount = daemon->give_up_mount();
  if (!mount) {
    log::warn("event=not_handed_over reason=\"{}\"", mount.error().what);
    answer.set_refused(mount.error().what);
    static_cast<void>(successor.send(answer));
    return HandOver::kept;
  }
  // 2. What the successor needs for itself: leases, ports, the state folder, a node's store.
  daemon.reset();
  *answer.mutable_mount() = mount->state;
  pb::TakeoverStep step;
  auto done = successor.send(answer, mount->device.get());
  if (done.ok()) done = successor.receive(step, ready_patience);
  if (done.ok()) done = successor.send(step);
  if (!done.ok()) {
    { const TakeoverSocket closed = std::move(successor); }
    log::warn("event=successor_failed reason=\"{}\"", done.error().what);
    return go_on(config, unmounted, *mount, daemon);
  }
  const auto took = std::chrono::steady_clock::now() - begun;
  log::info("event=handed_over host={} to={} took_ms={}", config.id, step.process(),
            std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  return HandOver::gone;
}

}  // namespace ukai
