// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/connect.h"

#include "base/asio_scheduler.h"
#include "ctl/grpc_daemon_calls.h"
#include "metadata/zookeeper_coordination.h"

namespace ukai::ctl {
namespace {

/// Members end in the opposite order: first the calls, then the session, then the threads.
class RealCluster final : public Cluster {
 public:
  static Result<std::unique_ptr<Cluster>> make(const ConnectOptions& options) {
    auto cluster = std::unique_ptr<RealCluster>(new RealCluster(options.timeout));
    ZooKeeperOptions zookeeper;
    zookeeper.address = options.servers;
    zookeeper.request_timeout = options.timeout;
    zookeeper.create_chroot = options.create_chroot;
    auto coordination = make_zookeeper_coordination(zookeeper, cluster->scheduler_);
    if (!coordination) return coordination.error();
    cluster->coordination_ = std::move(*coordination);
    cluster->catalog_ = std::make_unique<Catalog>(*cluster->coordination_, cluster->scheduler_);
    cluster->jobs_ = std::make_unique<JobStore>(*cluster->coordination_, cluster->scheduler_);
    return std::unique_ptr<Cluster>(std::move(cluster));
  }

  Catalog& catalog() override { return *catalog_; }
  JobStore& jobs() override { return *jobs_; }
  DaemonCalls& calls() override { return *calls_; }

 private:
  explicit RealCluster(Duration timeout)
      : scheduler_(1), calls_(make_grpc_daemon_calls(scheduler_, timeout)) {}

  AsioScheduler scheduler_;
  std::unique_ptr<Coordination> coordination_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<JobStore> jobs_;
  std::unique_ptr<DaemonCalls> calls_;
};

}  // namespace

Result<std::unique_ptr<Cluster>> connect_cluster(const ConnectOptions& options) {
  return RealCluster::make(options);
}

}  // namespace ukai::ctl
