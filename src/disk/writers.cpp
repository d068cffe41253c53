// SPDX-License-Identifier: BSD-2-Clause
#include "disk/writers.h"

#include <algorithm>

namespace ukai {

std::shared_ptr<Writer> Writers::open(bool granted) {
  auto writer = std::make_shared<Writer>();
  writer->asked = writer->granted = granted;
  alive_.insert(writer);
  return writer;
}

std::shared_ptr<Writer> Writers::resume(const Writer& was) {
  auto writer = std::make_shared<Writer>(was);
  if (!writer->dead) alive_.insert(writer);
  return writer;
}

void Writers::close(Writer& writer) {
  writer.closed = true;
  std::erase_if(alive_, [&](const auto& one) { return one.get() == &writer; });
}

void Writers::lock(Writer& writer, bool held) {
  writer.let_go = !held && (writer.locked || writer.let_go);
  writer.locked = held;
  writer.asked = writer.asked || held;
}

void Writers::kill_granted() {
  std::erase_if(alive_, [](const auto& writer) {
    writer->dead = writer->granted;
    return writer->dead;
  });
}

std::size_t Writers::keepers() const {
  return static_cast<std::size_t>(std::count_if(alive_.begin(), alive_.end(),
                                                [](const auto& writer) { return writer->asked; }));
}

std::size_t Writers::busy() const {
  return static_cast<std::size_t>(
      std::count_if(alive_.begin(), alive_.end(),
                    [](const auto& writer) { return writer->asked && !writer->let_go; }));
}

bool Writers::any_granted() const {
  return std::any_of(alive_.begin(), alive_.end(),
                     [](const auto& writer) { return writer->granted; });
}

bool may_write(const pb::DiskRecord& record, const HostId& host) {
  const auto& allowed = record.allowed_hosts();
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), host.str()) != allowed.end();
}

bool may_hand_over(const pb::DiskRecord& record, const HostId& from, const HostId& to) {
  return !record.allowed_hosts().empty() && may_write(record, from) && may_write(record, to);
}

}  // namespace ukai
