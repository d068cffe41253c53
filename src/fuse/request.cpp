// SPDX-License-Identifier: BSD-2-Clause
#include "fuse/request.h"

#include <linux/fuse.h>
#include <sys/uio.h>

#include <cassert>
#include <cerrno>
#include <utility>
#include <vector>

#include "fuse/errno_map.h"

namespace ukai::fuse {
namespace {

// One writev takes 1,024 pieces, and libfuse adds the header.
constexpr std::size_t pieces_max = 1000;

// More make the guest wait for no gain (docs/performance.md, "What profiles led to").
constexpr std::size_t gathered_max = 4;
constexpr std::size_t short_bytes_max = 16U << 10;

thread_local std::uint64_t answers = 0;
thread_local Gathering* gathering = nullptr;

}  // namespace

std::uint64_t answers_of_this_thread() { return answers; }

/// What the kernel is told of a read, or how much has been written.
struct Gathering::Answer {
  Request request;
  std::variant<Payload, std::size_t> what;
};

Gathering::Gathering() { gathering = this; }

Gathering::~Gathering() {
  gathering = nullptr;
  send();
}

/// Where it is kept back, if it is.
Gathering* Gathering::for_answer_to(std::size_t bytes) {
  return bytes <= short_bytes_max ? gathering : nullptr;
}

void Gathering::add(Answer answer) {
  ++answers;
  answers_.push_back(std::move(answer));
  if (answers_.size() == gathered_max) send();
}

void Gathering::send() {
  for (Answer& answer : answers_)
    std::visit([&](const auto& what) { answer.request.send(what); }, answer.what);
  answers_.clear();
}

void InFlight::enter() { count_.fetch_add(1, std::memory_order_relaxed); }

/// Whoever waits may destroy this as soon as it sees that there are none: the last one to leave has
/// the mutex then.
void InFlight::leave() {
  std::size_t before = count_.load(std::memory_order_relaxed);
  while (before > 1) {
    if (count_.compare_exchange_weak(before, before - 1, std::memory_order_release)) return;
  }
  std::lock_guard lock(mutex_);
  before = count_.fetch_sub(1, std::memory_order_acq_rel);
  assert(before > 0);
  if (before == 1) none_.notify_all();
}

void InFlight::wait_none() {
  std::unique_lock lock(mutex_);
  none_.wait(lock, [this] { return count_ == 0; });
}

bool InFlight::wait_none(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return none_.wait_for(lock, patience, [this] { return count_ == 0; });
}

Request::Request(Request&& other) noexcept
    : request_(std::exchange(other.request_, nullptr)),
      in_flight_(std::exchange(other.in_flight_, nullptr)),
      handle_(std::move(other.handle_)) {}

Request::~Request() {
  if (request_ != nullptr) fail(EIO);
  handle_.reset();  // before we are no longer counted
  if (in_flight_ != nullptr) in_flight_->leave();
}

Handle& Request::hold(std::shared_ptr<Handle> handle) {
  handle_ = std::move(handle);
  return *handle_;
}

fuse_req_t Request::take() {
  assert(request_ != nullptr);
  ++answers;
  return std::exchange(request_, nullptr);
}

void Request::fail(int error_number) { fuse_reply_err(take(), error_number); }

void Request::fail(const Error& error) { fail(errno_of(error.code)); }

void Request::entry(const struct stat& attributes) {
  fuse_entry_param entry{};
  entry.ino = attributes.st_ino;
  entry.generation = 1;  // numbers are never used for another disk
  entry.attr = attributes;
  fuse_reply_entry(take(), &entry);
}

void Request::attributes(const struct stat& attributes) {
  fuse_reply_attr(take(), &attributes, 0.0);
}

bool Request::opened(std::uint64_t handle, std::uint32_t open_flags) {
  // libfuse 3.14 has no name for FOPEN_PARALLEL_DIRECT_WRITES, so the reply is made by hand.
  fuse_open_out reply{};
  reply.fh = handle;
  reply.open_flags = open_flags;
  return fuse_reply_buf(take(), reinterpret_cast<const char*>(&reply), sizeof reply) >= 0;
}

void Request::written(std::size_t bytes) {
  Gathering* const to = Gathering::for_answer_to(bytes);
  if (to == nullptr) return send(bytes);
  to->add({std::move(*this), bytes});
}

void Request::send(std::size_t written_bytes) { fuse_reply_write(take(), written_bytes); }

void Request::data(const Payload& payload) {
  Gathering* const to = Gathering::for_answer_to(payload.size());
  if (to == nullptr) return send(payload);
  to->add({std::move(*this), payload});
}

void Request::send(const Payload& payload) {
  if (payload.pieces().size() > pieces_max) {
    text(payload.to_string());
    return;
  }
  std::vector<iovec> pieces;
  pieces.reserve(payload.pieces().size());
  for (const Bytes& piece : payload.pieces()) {
    // iovec serves reading and writing, so it is not const; writev only reads.
    pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
  fuse_reply_iov(take(), pieces.data(), static_cast<int>(pieces.size()));
}

void Request::text(std::string_view bytes) { fuse_reply_buf(take(), bytes.data(), bytes.size()); }

void Request::offset(std::uint64_t offset_bytes) {
  fuse_reply_lseek(take(), static_cast<off_t>(offset_bytes));
}

void Request::space(const struct statvfs& space) { fuse_reply_statfs(take(), &space); }

void Request::lock(const struct flock& lock) { fuse_reply_lock(take(), &lock); }

void Request::no_attribute_names(std::size_t size_asked) {
  if (size_asked == 0) {
    fuse_reply_xattr(take(), 0);
  } else {
    text({});
  }
}

void Request::nothing() { fuse_reply_none(take()); }

}  // namespace ukai::fuse
