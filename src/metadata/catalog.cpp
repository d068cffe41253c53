// SPDX-License-Identifier: BSD-2-Clause
//
// The tree's layout and its paths (docs/metadata-layout.md).
#include "ukai/catalog.h"

#include "base/unix_time.h"
#include "metadata/catalog_io.h"
#include "metadata/catalog_paths.h"

namespace ukai {

Catalog::Catalog(Coordination& coordination, Scheduler& scheduler)
    : coordination_(coordination), scheduler_(scheduler) {}

std::string Catalog::alive_path(const NodeId& node) { return node_path(node) + "/alive"; }
std::string Catalog::trash_path(const NodeId& node) { return node_path(node) + "/trash"; }
std::string Catalog::disk_path(DiskId disk) { return disks_path() + "/" + disk.to_string(); }
std::string Catalog::lease_path(DiskId disk) { return disk_path(disk) + "/lease"; }

Task<Result<std::string>> Catalog::cluster_id() {
  auto cluster = co_await load_record<pb::ClusterRecord>(coordination_, cluster_path());
  if (cluster.failed_with(Code::not_found)) {
    co_return Error{Code::not_found, "there is no UKAI cluster at this metadata address: " +
                                         cluster_path() + " does not exist there"};
  }
  if (!cluster) co_return cluster.error();
  co_return cluster->record.id();
}

Task<Result<std::string>> Catalog::ensure_layout() {
  auto present = co_await cluster_id();
  if (present.ok()) {
    for (const std::string& later : {events_path(), active_jobs_path()}) {  // came later
      auto folder = co_await ensure_folder(coordination_, scheduler_, later);
      if (!folder) co_return folder.error();
    }
  }
  if (!present.failed_with(Code::not_found)) co_return present;
  // One path at a time: others may be doing the same, and what is there already is as good. The
  // cluster's record comes last, so that whoever sees it sees the rest.
  const std::vector<std::string> folders{root_path,         nodes_path(), hosts_path(),
                                         names_path(),      disks_path(), events_path(),
                                         active_jobs_path()};
  for (const std::string& folder : folders) {
    auto made = co_await ensure_folder(coordination_, scheduler_, folder);
    if (!made) co_return made.error();
  }
  pb::ClusterRecord cluster;
  cluster.set_id(DiskId::random().to_string());
  cluster.set_created_unix_s(unix_now_s());
  std::vector<Op> ops{Op::create(cluster_path(), encode_record(cluster))};
  Probe probe{&path_is_there, cluster_path(), ""};
  auto made = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
  if (!made && !made.failed_with(Code::exists)) co_return made.error();
  co_return co_await cluster_id();
}

}  // namespace ukai
