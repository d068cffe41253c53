// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ukai/node_link.h"
#include "ukai/scheduler.h"

namespace ukai {

/// The requests of one client that wait for an answer. A request's id names its slot and the slot's
/// current use, so that the answer to a request that has been given up finds nobody.
///
/// Slots are kept and used again: nothing is allocated per request. Threads: one at a time.
class InFlight {
 public:
  struct Request {
    NodeLink::Done done;
    TimePoint sent;
    TimePoint deadline;
    bool small = false;  ///< its round trip tells how far the peer is
  };

  explicit InFlight(std::size_t requests_max) : requests_max_(requests_max) {}

  std::size_t size() const { return size_; }
  bool full() const { return size_ == requests_max_; }
  /// Not when full. The id is never 0.
  std::uint64_t add(Request request);
  bool contains(std::uint64_t id) const { return find(id) != nullptr; }
  /// nullopt: no request that still waits has this id.
  std::optional<Request> take(std::uint64_t id);
  /// Those whose deadline is not after `now`.
  std::vector<Request> take_late(TimePoint now);
  std::vector<Request> take_all();

 private:
  struct Slot {
    std::uint32_t use = 0;  ///< odd: taken
    Request request;
  };
  const Slot* find(std::uint64_t id) const;
  Request release(std::size_t index);
  template <class Wanted>
  std::vector<Request> take_if(Wanted wanted);

  std::size_t requests_max_;
  std::size_t size_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace ukai
