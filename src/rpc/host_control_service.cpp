// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/host_control_service.h"

#include "rpc/serve_call.h"
#include "ukai_host.grpc.pb.h"

namespace ukai {
namespace {

void merge(pb::ScrubProgress& waiting, const pb::ScrubProgress& newer) { waiting = newer; }

void merge(pb::VerifyProgress& waiting, const pb::VerifyProgress& newer) {
  pb::VerifyProgress merged = newer;
  merged.mutable_differences()->Clear();
  merged.mutable_differences()->MergeFrom(waiting.differences());
  merged.mutable_differences()->MergeFrom(newer.differences());
  waiting = std::move(merged);
}

void merge(pb::DiffProgress& waiting, const pb::DiffProgress& newer) {
  pb::DiffProgress merged = newer;
  merged.mutable_ranges()->Clear();
  merged.mutable_ranges()->MergeFrom(waiting.ranges());
  merged.mutable_ranges()->MergeFrom(newer.ranges());
  waiting = std::move(merged);
}

/// Between the work, which must never wait, and the thread that writes to the caller, who may be
/// slow: messages that were not written yet become one.
template <class Message>
class Mailbox {
 public:
  /// False: nobody reads any more.
  bool put(const Message& message) {
    std::lock_guard lock(mutex_);
    if (waiting_) {
      merge(*waiting_, message);
    } else {
      waiting_ = message;
    }
    changed_.notify_one();
    return !gone_;
  }
  void finish(Result<> outcome) {
    std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
    changed_.notify_one();
  }
  void leave() {
    std::lock_guard lock(mutex_);
    gone_ = true;
  }
  /// Waits a little; nullopt when nothing has come, or all has been taken.
  std::optional<Message> take() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, caller_check_interval,
                      [this] { return waiting_.has_value() || outcome_.has_value(); });
    return std::exchange(waiting_, std::nullopt);
  }
  /// The end, once all messages have been taken.
  std::optional<Result<>> outcome() {
    std::lock_guard lock(mutex_);
    return waiting_ ? std::nullopt : outcome_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Message> waiting_;   // by mutex_
  std::optional<Result<>> outcome_;  // by mutex_
  bool gone_ = false;                // by mutex_
};

class HostControlService final : public pb::HostControl::Service {
 public:
  HostControlService(HostDisks& disks, const std::string& host_id)
      : disks_(disks), identities_{host_identity(host_id)} {}

  grpc::Status ChangeDisk(grpc::ServerContext* context, const pb::ChangeDiskRequest* request,
                          pb::ChangeDiskReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, disks_.change_disk(*request)); });
  }

  grpc::Status TakeSnapshots(grpc::ServerContext* context, const pb::TakeSnapshotsRequest* request,
                             pb::TakeSnapshotsReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, disks_.take_snapshots(*request)); });
  }

  grpc::Status CloneDisk(grpc::ServerContext* context, const pb::CloneDiskRequest* request,
                         pb::CloneDiskReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, disks_.clone_disk(*request)); });
  }

  grpc::Status DiffDisk(grpc::ServerContext* context, const pb::DiffDiskRequest* request,
                        grpc::ServerWriter<pb::DiffProgress>* writer) override {
    return stream(*context, *writer,
                  [&](auto progress) { return disks_.diff_disk(*request, std::move(progress)); });
  }

  grpc::Status YieldLease(grpc::ServerContext* context, const pb::YieldLeaseRequest* request,
                          pb::YieldLeaseReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, disks_.yield_lease(*request)); });
  }

  grpc::Status DiskStatus(grpc::ServerContext* context, const pb::DiskStatusRequest* request,
                          pb::DiskStatusReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, disks_.disk_status(*request)); });
  }

  grpc::Status HostStatus(grpc::ServerContext* context, const pb::HostStatusRequest* /*request*/,
                          pb::HostStatusReply* reply) override {
    return serve_call(*context, identities_, *reply,
                      [&] { return wait_for_caller(*context, disks_.host_status()); });
  }

  grpc::Status VerifyDisk(grpc::ServerContext* context, const pb::VerifyDiskRequest* request,
                          grpc::ServerWriter<pb::VerifyProgress>* writer) override {
    return stream(*context, *writer,
                  [&](auto progress) { return disks_.verify_disk(*request, std::move(progress)); });
  }

  grpc::Status ScrubDisk(grpc::ServerContext* context, const pb::ScrubDiskRequest* request,
                         grpc::ServerWriter<pb::ScrubProgress>* writer) override {
    return stream(*context, *writer,
                  [&](auto progress) { return disks_.scrub_disk(*request, std::move(progress)); });
  }

 private:
  /// `begin(progress)` is the task; its messages go to `writer` until it ends or the caller goes.
  template <class Message, class Begin>
  grpc::Status stream(grpc::ServerContext& context, grpc::ServerWriter<Message>& writer,
                      Begin begin) {
    if (auto admitted = check_addressee(context, identities_); !admitted) {
      return to_grpc(admitted.error());
    }
    auto mailbox = std::make_shared<Mailbox<Message>>();  // shared: the task may outlive this call
    std::function<bool(const Message&)> progress = [mailbox](const Message& message) {
      return mailbox->put(message);
    };
    spawn_into<Result<>>(begin(std::move(progress)),
                         [mailbox](Result<> outcome) { mailbox->finish(std::move(outcome)); });
    while (true) {
      auto message = mailbox->take();
      if (context.IsCancelled() || (message && !writer.Write(*message))) {
        mailbox->leave();
        return grpc::Status::CANCELLED;
      }
      if (auto outcome = mailbox->outcome()) {
        return *outcome ? grpc::Status::OK : to_grpc(outcome->error());
      }
    }
  }

  HostDisks& disks_;
  const std::vector<std::string> identities_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_host_control_service(HostDisks& disks,
                                                         const std::string& host_id) {
  return std::make_shared<HostControlService>(disks, host_id);
}

}  // namespace ukai
