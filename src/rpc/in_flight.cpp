// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/in_flight.h"

#include <cassert>

namespace ukai {

std::uint64_t InFlight::add(Request request) {
  assert(!full());
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  ++slot.use;
  slot.request = std::move(request);
  ++size_;
  return std::uint64_t{slot.use} << 32 | index;
}

const InFlight::Slot* InFlight::find(std::uint64_t id) const {
  const std::size_t index = id & 0xFFFF'FFFFU;
  const std::uint64_t use = id >> 32;
  if (index >= slots_.size() || slots_[index].use != use || use % 2 == 0) return nullptr;
  return &slots_[index];
}

InFlight::Request InFlight::release(std::size_t index) {
  Slot& slot = slots_[index];
  ++slot.use;
  free_.push_back(static_cast<std::uint32_t>(index));
  --size_;
  return std::move(slot.request);
}

std::optional<InFlight::Request> InFlight::take(std::uint64_t id) {
  const Slot* slot = find(id);
  if (slot == nullptr) return std::nullopt;
  return release(static_cast<std::size_t>(slot - slots_.data()));
}

template <class Wanted>
std::vector<InFlight::Request> InFlight::take_if(Wanted wanted) {
  std::vector<Request> taken;
  for (std::size_t index = 0; index < slots_.size() && size_ > 0; ++index) {
    const Slot& slot = slots_[index];
    if (slot.use % 2 == 1 && wanted(slot.request)) taken.push_back(release(index));
  }
  return taken;
}

std::vector<InFlight::Request> InFlight::take_late(TimePoint now) {
  return take_if([now](const Request& request) { return request.deadline <= now; });
}

std::vector<InFlight::Request> InFlight::take_all() {
  return take_if([](const Request&) { return true; });
}

}  // namespace ukai
