// SPDX-License-Identifier: BSD-2-Clause
//
// The commands about snapshots and clones.
#include "ctl/argument_parts.h"

namespace ukai::ctl {
namespace {

void snapshot_name(CLI::App& app, DiskOptions& options) {
  positional(app, "NAME@SNAPSHOT", options.name, "The snapshot");
}

}  // namespace

void add_snapshots(CLI::App& root, Arguments& arguments) {
  CLI::App& snapshot = add_group(root, "snapshot", "Freeze states of disks, and go back to them");
  add_command<SnapshotCreateOptions>(
      snapshot, arguments, "create", "Freeze the state of disks at one instant", snapshot_create,
      [](CLI::App& app, SnapshotCreateOptions& options) {
        app.add_option("NAME@SNAPSHOT", options.names, "The snapshots")
            ->required()
            ->type_name("NAME@SNAPSHOT...");
        app.footer(
            "Works while the disk is in use; its guest is held for some milliseconds. Several "
            "disks must be in use on one host at most. On each mount, NAME@SNAPSHOT is a read-only "
            "file.");
      });
  add_command<SnapshotDeleteOptions>(
      snapshot, arguments, "delete", "Delete a snapshot and what only it holds", snapshot_delete,
      [](CLI::App& app, SnapshotDeleteOptions& options) {
        positional(app, "NAME@SNAPSHOT", options.name, "The snapshot");
        app.add_flag("--if-exists", options.if_exists, "A snapshot that is not there is no error");
        app.footer("Nodes give the space back in the background, also those that are down now.");
      });
  add_command<DiskOptions>(snapshot, arguments, "list", "List the snapshots of a disk",
                           snapshot_list, disk_name);
  add_command<DiskOptions>(snapshot, arguments, "info", "Show a snapshot", snapshot_info,
                           snapshot_name);
  add_command<DiskOptions>(
      snapshot, arguments, "rollback", "Let a disk go on from a snapshot", snapshot_rollback,
      [](CLI::App& app, DiskOptions& options) {
        snapshot_name(app, options);
        app.footer(
            "What was written since the newest snapshot is lost; all snapshots stay, and so does "
            "the disk's size. Refused with status 5 while a host has the disk open.");
      });
  add_command<CloneOptions>(
      root, arguments, "clone", "Make a new disk of a snapshot or a disk", clone_disk,
      [](CLI::App& app, CloneOptions& options) {
        positional(app, "NAME[@SNAPSHOT]", options.name, "What the new disk begins as");
        positional(app, "NEW", options.new_name, "Its name");
        app.footer(
            "No data are copied: the new disk lies on the same nodes, by hard links. It stands "
            "alone at once; the old one and its snapshots can be deleted, and its blocks moved.");
      });
}

void add_diff(CLI::App& disk, Arguments& arguments) {
  add_command<DiffOptions>(
      disk, arguments, "diff", "List what has changed since a snapshot", disk_diff,
      [](CLI::App& app, DiffOptions& options) {
        positional(app, "NAME@SNAPSHOT", options.from, "The earlier state");
        positional(app, "NAME[@SNAPSHOT]", options.to, "The later one");
        app.footer("In ranges of 64 KiB that differ, for incremental backups.");
      });
}

}  // namespace ukai::ctl
