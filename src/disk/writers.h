// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <set>

#include "ukai/types.h"
#include "ukai_records.pb.h"

namespace ukai {

/// One open handle that may change a disk, as far as the disk's lease is concerned.
struct Writer {
  bool closed = false;
  bool dead = false;     ///< another host has been the writer since: errors for ever
  bool asked = false;    ///< wants the lease: took it when it was opened, or is to change the disk
  bool granted = false;  ///< has had it
  bool locked = false;   ///< holds QEMU's lock on byte 101, "I write"
  bool let_go = false;   ///< held it, and does not any more
};

/// The handles of one disk on one host that may change it: which of them keep the lease here, and
/// which die. Pure; guarded by its owner's mutex, and so are the Writers.
class Writers {
 public:
  /// `granted`: the open has taken the lease. shared: a request for the lease outlives its handle.
  std::shared_ptr<Writer> open(bool granted);
  /// One of an earlier process, as it was.
  std::shared_ptr<Writer> resume(const Writer& was);
  void close(Writer& writer);
  /// QEMU's write lock was taken or let go.
  static void lock(Writer& writer, bool held);
  /// True: it is dead, or has let its lock go before it got the lease. The latter may lock again;
  /// until then nobody can say who has changed the disk meanwhile.
  static bool is_over(const Writer& writer) {
    return writer.dead || (writer.let_go && !writer.granted);
  }
  /// Another host has been the writer: whoever had the lease is dead. Who only waits for it lives.
  void kill_granted();

  /// Those alive.
  std::size_t count() const { return alive_.size(); }
  /// Those that keep the lease from a host that just wants to open the disk.
  std::size_t keepers() const;
  /// Those that keep it from a host that is to change the disk in this one's place.
  std::size_t busy() const;
  /// True: some handle that had the lease goes on under the next grant.
  bool any_granted() const;

 private:
  std::set<std::shared_ptr<Writer>> alive_;
};

/// The operator named this host, or nobody.
bool may_write(const pb::DiskRecord& record, const HostId& host);

/// May the disk pass from host to host while handles are open? The operator has said so by
/// allowing both.
bool may_hand_over(const pb::DiskRecord& record, const HostId& from, const HostId& to);

}  // namespace ukai
