// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ctl/context.h"

namespace ukai::ctl {

/// Who holds a disk's lease at the moment.
struct Holder {
  std::optional<LeaseInfo> lease;
  std::optional<pb::HostRecord> host;  ///< the holder, when it is a registered host
};
Result<Holder> find_holder(Context& context, DiskId disk);

/// The disk as the holder of its lease sees it; nothing when there is none or it does not answer.
std::optional<pb::DiskStatusInfo> holder_status(Context& context, const Holder& holder,
                                                const std::string& disk_id);

/// A short lease of our own, for changing what nobody uses. Released at its end.
class AdminLease {
 public:
  /// busy: somebody holds it.
  static Result<std::unique_ptr<AdminLease>> take(Context& context, DiskId disk);
  ~AdminLease();
  AdminLease(const AdminLease&) = delete;
  AdminLease& operator=(const AdminLease&) = delete;

  const Lease& lease() const { return taken_.lease; }
  const DiskEntry& entry() const { return taken_.entry; }
  /// The lease went together with the disk: nothing is left to release.
  void ended() { held_ = false; }

 private:
  AdminLease(Context& context, Catalog::Taken taken)
      : context_(context), taken_(std::move(taken)) {}
  Context& context_;
  Catalog::Taken taken_;
  bool held_ = true;
};

struct Changed {
  pb::DiskRecord record;
  bool changed = false;  ///< false: it was so already
};
/// Changes the record of the disk `name`, and its map when it grows: through the host that holds
/// its lease, or under a lease of our own. `request` needs no disk id.
Result<Changed> change_disk(Context& context, const std::string& name,
                            pb::ChangeDiskRequest request);

/// The same for a change that the caller knows to be needed: `alone` does it when nobody holds the
/// lease.
using ChangeAlone = Result<pb::DiskRecord> (*)(Context& context, DiskId disk,
                                               const pb::ChangeDiskRequest& request);
Result<pb::DiskRecord> change_through(Context& context, const pb::DiskRecord& record,
                                      const pb::ChangeDiskRequest& request, ChangeAlone alone);

/// A lease of our own on a disk that nobody writes; a host that has it idle gives it up. busy: it
/// is open for writing, or somebody who is gone still holds it.
Result<std::unique_ptr<AdminLease>> take_idle_lease(Context& context, const pb::DiskRecord& record);

/// Takes the disk from whoever holds it and removes it. busy: some host has it open.
Result<> delete_disk(Context& context, const DiskEntry& entry);

/// Makes a disk smaller that nobody has open, nor a job works on (busy). Errors: as cut_off().
Result<pb::DiskRecord> shrink_disk(Context& context, const DiskEntry& entry,
                                   std::uint64_t size_bytes);

/// Does `work` at the host that holds the disk's lease or, when nobody does, at any host that
/// answers. unreachable: there is none.
Result<> at_some_host(Context& context, const pb::DiskRecord& record,
                      const std::function<Result<>(const pb::HostRecord&)>& work);

/// `error` as `host` answered it, or why it did not.
Error host_error(const pb::HostRecord& host, const Error& error);

}  // namespace ukai::ctl
