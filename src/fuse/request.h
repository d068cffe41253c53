// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <variant>
#include <vector>

#include "fuse/fuse_library.h"
#include "fuse/open_handles.h"
#include "ukai/bytes.h"
#include "ukai/result.h"

namespace ukai::fuse {

/// Counts the requests that were received and not yet done with.
/// Threads: safe from any.
class InFlight {
 public:
  void enter();
  void leave();
  void wait_none();
  /// False: there still are some.
  bool wait_none(std::chrono::milliseconds patience);

 private:
  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;  ///< so that whoever waits misses no end
  std::condition_variable none_;
};

/// How many requests this thread has answered so far: whether one was answered where it came in.
std::uint64_t answers_of_this_thread();

class Request;

/// While it lives, the answers to short reads and writes that this thread gives are kept back, a
/// few at a time, so that the guest is woken once for all of them. At most one on a thread.
class Gathering {
 public:
  Gathering();
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;
  /// Sends what is left.
  ~Gathering();
  void send();

 private:
  friend class Request;
  struct Answer;
  static Gathering* for_answer_to(std::size_t bytes);
  void add(Answer answer);

  std::vector<Answer> answers_;
};

/// One request of the kernel. It is answered exactly once, by one of the functions below, from
/// whatever thread knows the answer; unanswered, it answers EIO when it goes.
///
/// It holds the file handle it is about, so that once InFlight is at zero no request holds a disk.
/// Threads: one at a time.
class Request {
 public:
  Request(fuse_req_t request, InFlight& in_flight) : request_(request), in_flight_(&in_flight) {
    in_flight.enter();
  }
  Request(Request&& other) noexcept;
  Request& operator=(Request&&) = delete;
  ~Request();

  /// Makes this request keep `handle`; returns it for use while the request lives.
  Handle& hold(std::shared_ptr<Handle> handle);
  /// What it holds; nullptr: nothing.
  Handle* handle() const { return handle_.get(); }

  void done() { fail(0); }
  void fail(int error_number);  ///< positive errno
  void fail(const Error& error);
  void entry(const struct stat& attributes);
  void attributes(const struct stat& attributes);
  /// False: the opener was interrupted and will never release the handle.
  [[nodiscard]] bool opened(std::uint64_t handle, std::uint32_t open_flags);
  void written(std::size_t bytes);
  void data(const Payload& payload);
  void text(std::string_view bytes);
  void offset(std::uint64_t offset_bytes);
  void space(const struct statvfs& space);
  void lock(const struct flock& lock);
  void no_attribute_names(std::size_t size_asked);
  /// For FORGET, which has no answer.
  void nothing();

  fuse_req_t raw() const { return request_; }

 private:
  fuse_req_t take();
  void send(const Payload& payload);
  void send(std::size_t written_bytes);
  friend class Gathering;

  fuse_req_t request_;   ///< null once answered
  InFlight* in_flight_;  ///< null once moved from
  std::shared_ptr<Handle> handle_;
};

}  // namespace ukai::fuse
