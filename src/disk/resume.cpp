// SPDX-License-Identifier: BSD-2-Clause
//
// Handles go from one process of a host to the next (ukaid --takeover). The lease does not: the old
// process gives it back, and the new one takes it when it is needed, or at once for a handle that
// had it. What decides whether a handle lives is what decides it after any other loss of the lease:
// whether another guest has had it since.
#include <algorithm>

#include "disk/attached_disk.h"

namespace ukai {

pb::OpenState AttachedDisk::state_of(const std::shared_ptr<Writer>& writer) {
  pb::OpenState out;
  out.set_disk_id(id_.to_string());
  out.set_epoch(record().epoch());
  if (!writer) return out;
  std::lock_guard lock(mutex_);
  out.set_writer(true);
  out.set_dead(writer->dead);
  out.set_asked(writer->asked);
  out.set_granted(writer->granted);
  out.set_locked(writer->locked);
  out.set_let_go(writer->let_go);
  return out;
}

std::shared_ptr<Writer> AttachedDisk::resumed(const pb::OpenState& state) {
  const std::uint64_t guest_epoch = record().guest_epoch();
  std::lock_guard lock(mutex_);
  if (!state.writer()) {
    readers_ += 1;
    return nullptr;
  }
  // Grants that have begun since are compared with this one when the next is taken.
  record_.set_epoch(std::min(record_.epoch(), state.epoch()));
  Writer was;
  was.dead = state.dead() || (state.granted() && guest_epoch > state.epoch());
  was.asked = state.asked();
  was.granted = state.granted();
  was.locked = state.locked();
  was.let_go = state.let_go();
  auto writer = writers_.resume(was);
  if (was.granted && !was.dead && !was.let_go) {
    services_.scheduler.post(
        [self = shared_from_this(), writer] { self->tasks_.spawn(self->take_soon(writer)); });
  }
  return writer;
}

}  // namespace ukai
