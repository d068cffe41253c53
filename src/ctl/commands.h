// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ctl/context.h"
#include "ctl/local_mount.h"

/// The commands, one a file. Each takes what was typed, prints its result and returns what went
/// wrong; an Error becomes one line and an exit status in run().
namespace ukai::ctl {

struct NoOptions {};
struct DiskOptions {
  std::string name;
};

struct DiskCreateOptions {
  std::string name;
  std::string size;
  std::string block_size;              ///< empty: the default
  std::vector<std::string> locations;  ///< each NODE[,NODE…]
  bool stripe = false;
  std::string replicas;  ///< empty: all nodes, or 1 when striped
  bool force = false;
  std::vector<std::string> meta;   ///< K=V
  std::vector<std::string> allow;  ///< hosts
};
Result<> disk_create(Context& context, const DiskCreateOptions& options);

struct DiskImportOptions {
  std::string file;
  std::string format;        ///< empty: found out
  DiskCreateOptions create;  ///< its size may be empty
  MountWanted mount;
};
Result<> disk_import(Context& context, const DiskImportOptions& options);

struct DiskExportOptions {
  std::string name;  ///< NAME[@SNAPSHOT]
  std::string file;
  std::string format;  ///< empty: by the file's name
  MountWanted mount;
  bool force = false;
};
Result<> disk_export(Context& context, const DiskExportOptions& options);

struct DiskDeleteOptions {
  std::string name;
  bool if_exists = false;
};
Result<> disk_delete(Context& context, const DiskDeleteOptions& options);

Result<> disk_list(Context& context, const NoOptions& options);
Result<> disk_info(Context& context, const DiskOptions& options);

struct DiskMapOptions {
  std::string name;
  std::string blocks;  ///< "A-B"; empty: all
};
Result<> disk_map(Context& context, const DiskMapOptions& options);
Result<> disk_stats(Context& context, const DiskOptions& options);
Result<> disk_verify(Context& context, const DiskOptions& options);

Result<> scrub(Context& context, const DiskOptions& options);

struct DiskResizeOptions {
  std::string name;
  std::string size;
  bool force = false;  ///< it may shrink
};
Result<> disk_resize(Context& context, const DiskResizeOptions& options);

struct DiskRenameOptions {
  std::string name;
  std::string new_name;
};
Result<> disk_rename(Context& context, const DiskRenameOptions& options);

struct DiskHostsOptions {
  std::string name;
  std::vector<std::string> allow;
  std::vector<std::string> deny;
};
Result<> disk_hosts(Context& context, const DiskHostsOptions& options);

struct DiskSetOptions {
  std::string name;
  std::vector<std::string> meta;  ///< K=V; K= removes
};
Result<> disk_set(Context& context, const DiskSetOptions& options);

Result<> node_list(Context& context, const NoOptions& options);
struct NodeOptions {
  std::string node;
};
Result<> node_info(Context& context, const NodeOptions& options);
Result<> host_list(Context& context, const NoOptions& options);

Result<> lease_show(Context& context, const DiskOptions& options);
struct LeaseReleaseOptions {
  std::string name;
  bool force = false;
};
Result<> lease_release(Context& context, const LeaseReleaseOptions& options);

struct DiskRecoverOptions {
  std::string name;
  std::string from;
  bool accept_loss = false;
  bool yes = false;
};
Result<> disk_recover(Context& context, const DiskRecoverOptions& options);

struct NodeRemoveOptions {
  std::string node;
  bool lost = false;
  bool accept_loss = false;
};
Result<> node_remove(Context& context, const NodeRemoveOptions& options);

struct DumpOptions {
  std::string file;  ///< empty or "-": stdout, or stdin
};
Result<> metadata_dump(Context& context, const DumpOptions& options);
Result<> metadata_load(Context& context, const DumpOptions& options);

struct RebuildOptions {
  bool apply = false;
  bool accept_loss = false;
  std::string cluster;  ///< lay out an empty tree for this cluster instead
};
Result<> metadata_rebuild(Context& context, const RebuildOptions& options);

struct EventsOptions {
  std::string disk;   ///< empty: all
  std::string limit;  ///< empty: the default
};
Result<> events(Context& context, const EventsOptions& options);

struct SnapshotCreateOptions {
  std::vector<std::string> names;  ///< NAME@SNAPSHOT
};
Result<> snapshot_create(Context& context, const SnapshotCreateOptions& options);
struct SnapshotDeleteOptions {
  std::string name;
  bool if_exists = false;
};
Result<> snapshot_delete(Context& context, const SnapshotDeleteOptions& options);
Result<> snapshot_list(Context& context, const DiskOptions& options);
Result<> snapshot_info(Context& context, const DiskOptions& options);
Result<> snapshot_rollback(Context& context, const DiskOptions& options);
struct CloneOptions {
  std::string name;  ///< NAME[@SNAPSHOT]
  std::string new_name;
};
Result<> clone_disk(Context& context, const CloneOptions& options);
struct DiffOptions {
  std::string from;  ///< NAME@SNAPSHOT
  std::string to;    ///< NAME[@SNAPSHOT]
};
Result<> disk_diff(Context& context, const DiffOptions& options);

Result<> topology(Context& context, const NoOptions& options);
Result<> advise_disk(Context& context, const DiskOptions& options);
Result<> errors(Context& context, const NoOptions& options);
Result<> status(Context& context, const NoOptions& options);
Result<> diag(Context& context, const NoOptions& options);
Result<> show_version(Context& context, const NoOptions& options);

// -- the original's commands, where they differ from ours
struct CreateImageOptions {
  std::string size;
  std::string block_size;
  std::string location;
  std::string hypervisor;
  std::string name;
};
Result<> create_image(Context& context, const CreateImageOptions& options);
Result<> destroy_image(Context& context, const DiskOptions& options);
Result<> get_image_names(Context& context, const NoOptions& options);
Result<> get_image_info(Context& context, const DiskOptions& options);
Result<> get_metadata(Context& context, const DiskOptions& options);

/// How a job is to be run, as typed.
struct MoveTermsTyped {
  std::string rate;     ///< bytes a second between nodes; empty: no limit
  bool detach = false;  ///< do not wait for its end
  bool plan = false;    ///< only say what would be done
};

struct SyncOptions {
  std::string name;
  std::string blocks;  ///< empty: all
  MoveTermsTyped terms;
};
Result<> sync_disk(Context& context, const SyncOptions& options);

struct LocationOptions {
  std::string name;
  std::vector<std::string> nodes;  ///< each NODE[,NODE…]
  std::string blocks;              ///< empty: all
};
Result<> location_add(Context& context, const LocationOptions& options);
Result<> location_remove(Context& context, const LocationOptions& options);

struct MoveOptions {
  std::vector<std::string> names;
  std::string from;             ///< of relocate
  std::vector<std::string> to;  ///< each NODE[,NODE…], or one selector
  std::string blocks;
  MoveTermsTyped terms;
};
Result<> replicate(Context& context, const MoveOptions& options);
Result<> relocate(Context& context, const MoveOptions& options);

struct DrainOptions {
  std::string node;
  std::vector<std::string> to;
  bool stop = false;  ///< it takes new locations again
  MoveTermsTyped terms;
};
Result<> node_drain(Context& context, const DrainOptions& options);

struct JobListOptions {
  std::string name;  ///< empty: of all disks
  bool all = false;  ///< those that have ended, too
};
Result<> job_list(Context& context, const JobListOptions& options);
struct JobOptions {
  std::string id;
};
Result<> job_info(Context& context, const JobOptions& options);
struct JobsOptions {
  std::vector<std::string> ids;
};
Result<> job_wait(Context& context, const JobsOptions& options);
Result<> job_cancel(Context& context, const JobsOptions& options);
struct JobRateOptions {
  std::string id;
  std::string rate;
};
Result<> job_rate(Context& context, const JobRateOptions& options);

struct OriginalLocationOptions {
  std::string name;
  std::string node;
  std::int64_t start = 0;
  std::int64_t end = -1;  ///< -1: the last block
};
Result<> add_location(Context& context, const OriginalLocationOptions& options);
Result<> remove_location(Context& context, const OriginalLocationOptions& options);

struct SynchronizeOptions {
  std::int64_t start = 0;
  std::int64_t end = -1;  ///< -1: the last block
  bool verbose = false;
  std::string name;
};
Result<> synchronize(Context& context, const SynchronizeOptions& options);

struct HypervisorOptions {
  std::string name;
  std::string host;
};
Result<> add_hypervisor(Context& context, const HypervisorOptions& options);
Result<> remove_hypervisor(Context& context, const HypervisorOptions& options);

}  // namespace ukai::ctl
