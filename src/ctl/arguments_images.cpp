// SPDX-License-Identifier: BSD-2-Clause
//
// New disks, empty or from an image file, and image files of disks.
#include "ctl/argument_parts.h"

namespace ukai::ctl {
namespace {

constexpr const char* new_name_help =
    "Name of the new disk: 1 to 128 letters, digits, '.', '_' and '-', not beginning with '.' or "
    "'-'";

/// What says how a new disk lies, but for its size.
void add_layout(CLI::App& app, DiskCreateOptions& options) {
  app.add_option("--block-size", options.block_size,
                 "Size of a block, a power of two from 64KiB to 64MiB (default 4MiB)")
      ->type_name("SIZE");
  repeated(app, "--location", options.locations, "The nodes that hold the disk's blocks")
      ->required()
      ->type_name("NODE[,NODE...]");
  app.add_flag("--stripe", options.stripe,
               "Spread the blocks over the nodes in turn, each with --replicas copies (default 1)");
  app.add_option("--replicas", options.replicas,
                 "Copies of each block (default: one on every node)")
      ->type_name("K");
  app.add_flag("--force", options.force, "Create the disk even if a node is down");
  repeated(app, "--meta", options.meta, "A note on the disk; may be repeated")
      ->type_name("KEY=VALUE");
}

void add_mount(CLI::App& app, MountWanted& wanted) {
  app.add_option("--host", wanted.host, "Through the mount of this host, which is on this machine")
      ->type_name("HOST");
  app.add_option("--mount", wanted.folder, "The mount is here, not where its host says")
      ->type_name("FOLDER");
}

void describe_create(CLI::App& app, DiskCreateOptions& options) {
  positional(app, "NAME", options.name, new_name_help);
  app.add_option("--size", options.size, "Size, a multiple of the block size; at most 64T")
      ->required()
      ->type_name("SIZE");
  add_layout(app, options);
  app.footer(
      "Nothing is allocated and every replica starts in sync. A size that is no multiple of the "
      "block size is refused, naming the next one that is. Refused with status 8 when a node is "
      "down.\nExample: ukaictl disk create vm-1 --size 10G --location n1,n2");
}

void describe_import(CLI::App& app, DiskImportOptions& options) {
  positional(app, "FILE", options.file, "The image, raw or qcow2");
  positional(app, "NAME", options.create.name, new_name_help);
  app.add_option("--size", options.create.size,
                 "Size of the disk (default: that of the image, up to whole blocks)")
      ->type_name("SIZE");
  app.add_option("--format", options.format, "raw or qcow2 (default: what qemu-img finds)")
      ->type_name("FORMAT");
  add_mount(app, options.mount);
  add_layout(app, options.create);
  app.footer(
      "Copies with qemu-img through the mount of a ukaid on this machine; holes and zeros take no "
      "space. Everything is on stable storage when it ends; when it fails, no disk is left. Name "
      "the format of a raw image from a stranger: what a guest wrote can look like a qcow2.\n"
      "Example: ukaictl disk import debian.qcow2 vm-1 --location n1,n2");
}

void describe_export(CLI::App& app, DiskExportOptions& options) {
  positional(app, "NAME[@SNAPSHOT]", options.name, "The disk, or a state of it");
  positional(app, "FILE", options.file, "The new file");
  app.add_option("--format", options.format, "raw or qcow2 (default: by FILE's ending .qcow2)")
      ->type_name("FORMAT");
  add_mount(app, options.mount);
  app.add_flag("--force", options.force,
               "Replace FILE; copy the disk also while it is open for writing");
  app.footer(
      "Copies with qemu-img through the mount of a ukaid on this machine; holes stay holes. A disk "
      "that is open for writing is refused with status 5: export a snapshot of it.\n"
      "Example: ukaictl disk export vm-1@monday vm-1.qcow2");
}

}  // namespace

void add_create(CLI::App& disk, Arguments& arguments) {
  add_command<DiskCreateOptions>(disk, arguments, "create", "Create a disk on chosen nodes",
                                 disk_create, describe_create);
}

void add_images(CLI::App& disk, Arguments& arguments) {
  add_command<DiskImportOptions>(disk, arguments, "import", "Make a disk of an image file",
                                 disk_import, describe_import);
  add_command<DiskExportOptions>(disk, arguments, "export", "Copy a disk into an image file",
                                 disk_export, describe_export);
}

}  // namespace ukai::ctl
