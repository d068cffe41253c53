// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ctl/argument_parts.h"

// From top to bottom: the commands by group, then the parser.
namespace ukai::ctl {
namespace {

constexpr const char* root_footer = R"(
Sizes are bytes or have a suffix: 64KiB, 4MiB, 10G, 2T (powers of 1024).
Blocks are A-B, both inclusive, or one number.

The metadata servers are HOST:PORT[,HOST:PORT...][/CHROOT], from --metadata, else from the
environment variable UKAI_METADATA, else from [metadata] servers in the file of --config.

Exit status: 0 done, 1 failed, 2 usage or bad input, 3 not found, 4 exists already,
5 busy (open, or in use), 6 no space, 7 unreachable or timed out, 8 refused for safety.
A failure is one line on stderr.)";
constexpr const char* original_group = "Commands of the original ukai_admin";

// -- disk …

void describe_change(CLI::App& disk, Arguments& arguments) {
  add_command<DiskResizeOptions>(
      disk, arguments, "resize", "Make a disk larger or smaller", disk_resize,
      [](CLI::App& app, DiskResizeOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        positional(app, "SIZE", options.size, "New size, a multiple of the block size");
        app.add_flag("--force", options.force, "Also a smaller one: what is beyond it is lost");
        app.footer(
            "A disk grows while it is in use. It shrinks only with --force, and only when nobody "
            "has it open (else status 5) and no snapshot is larger than that (else 8).");
      });
  add_command<DiskRenameOptions>(disk, arguments, "rename", "Give a disk another name", disk_rename,
                                 [](CLI::App& app, DiskRenameOptions& options) {
                                   positional(app, "NAME", options.name, "The disk");
                                   positional(app, "NEW", options.new_name, "Its new name");
                                 });
  add_command<DiskHostsOptions>(
      disk, arguments, "hosts", "Show or change which hosts may open a disk for writing",
      disk_hosts, [](CLI::App& app, DiskHostsOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        repeated(app, "--allow", options.allow, "Allow a host; may be repeated")->type_name("HOST");
        repeated(app, "--deny", options.deny, "Allow it no more; may be repeated")
            ->type_name("HOST");
        app.footer(
            "Without options, prints the hosts. With none allowed by name, any host may open the "
            "disk, one at a time. Repeating what is already so is no error.");
      });
  add_command<DiskSetOptions>(disk, arguments, "set", "Change the notes on a disk", disk_set,
                              [](CLI::App& app, DiskSetOptions& options) {
                                positional(app, "NAME", options.name, "The disk");
                                repeated(app, "--meta", options.meta,
                                         "Set a note; an empty VALUE removes it; may be repeated")
                                    ->required()
                                    ->type_name("KEY=VALUE");
                              });
}

void add_disk_commands(CLI::App& root, Arguments& arguments) {
  CLI::App& disk = add_group(root, "disk", "Create, look at, change and delete disks");
  add_create(disk, arguments);
  add_command<DiskDeleteOptions>(
      disk, arguments, "delete", "Delete a disk and its data", disk_delete,
      [](CLI::App& app, DiskDeleteOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        app.add_flag("--if-exists", options.if_exists, "A disk that is not there is no error");
        app.footer("Refused with status 5 while a host has the disk open, or it has snapshots.");
      });
  add_command<NoOptions>(disk, arguments, "list", "List all disks", disk_list, nothing);
  add_command<DiskOptions>(disk, arguments, "info", "Show all about a disk", disk_info, disk_name);
  add_command<DiskMapOptions>(
      disk, arguments, "map", "Show where a disk's blocks lie", disk_map,
      [](CLI::App& app, DiskMapOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        app.add_option("--blocks", options.blocks, "Only these blocks")->type_name("A-B");
        app.footer(
            "Each replica has a letter: Y in sync, S syncing, N out of sync, ? not known at the "
            "moment. 'a | b | c' means that the blocks have these sets in turn.");
      });
  add_command<DiskOptions>(disk, arguments, "stats",
                           "Show the counters of a disk in use and its request sizes", disk_stats,
                           disk_name);
  add_command<DiskOptions>(
      disk, arguments, "verify", "Compare all in-sync replicas of every block", disk_verify,
      [](CLI::App& app, DiskOptions& options) {
        disk_name(app, options);
        app.footer(
            "Prints the blocks that differ; then the status is 1. Works while the disk is "
            "in use.");
      });
  add_diff(disk, arguments);
  add_images(disk, arguments);
  add_command<DiskRecoverOptions>(
      disk, arguments, "recover", "Declare a stale replica the truth", disk_recover,
      [](CLI::App& app, DiskRecoverOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        app.add_option("--from", options.from, "The node whose replica it is")
            ->required()
            ->type_name("NODE");
        app.add_flag("--accept-loss", options.accept_loss,
                     "What was written since that node went missing may be lost");
        app.add_flag("--yes", options.yes, "Do not ask for the disk's name on a terminal");
        app.footer(
            "For the day when all in-sync replicas are lost. Refused with status 8 while one of "
            "them can be asked. All other replicas are made equal to it when their nodes return.");
      });
  describe_change(disk, arguments);
}

// -- the cluster

void add_nodes_and_hosts(CLI::App& root, Arguments& arguments) {
  CLI::App& node = add_group(root, "node", "Look at the storage nodes");
  add_command<NoOptions>(node, arguments, "list", "List all storage nodes", node_list, nothing);
  add_command<NodeOptions>(node, arguments, "info", "Show all about a node and what lies on it",
                           node_info, [](CLI::App& app, NodeOptions& options) {
                             positional(app, "NODE", options.node, "The node's id");
                           });
  add_command<NodeRemoveOptions>(
      node, arguments, "remove", "Forget a node", node_remove,
      [](CLI::App& app, NodeRemoveOptions& options) {
        positional(app, "NODE", options.node, "The node's id");
        app.add_flag("--lost", options.lost,
                     "It is gone for good: take it off all disks that still name it");
        app.add_flag("--accept-loss", options.accept_loss,
                     "With --lost, even if it has the only in-sync replica of some blocks");
        app.footer(
            "Refused with status 5 while the node runs, with 8 while disks have locations on it, "
            "and with --lost when blocks would be lost. Blocks that nobody else has keep naming "
            "the node, so that their I/O fails; they are never zeros.");
      });
  add_command<DrainOptions>(
      node, arguments, "drain", "Move everything that lies on a node to others", node_drain,
      [](CLI::App& app, DrainOptions& options) {
        positional(app, "NODE", options.node, "The node's id");
        CLI::Option* to =
            app.add_option("--to", options.to, "Nodes, or site=PATH or label=WORD, that share it")
                ->type_name("NODE[,NODE...]");
        add_terms(app, options.terms);
        app.add_flag("--stop", options.stop, "It is to take new locations again")->excludes(to);
        app.footer(
            "From then on no new location is put on the node. One job a disk; repeated, it goes on "
            "with what is left. Refused with status 8, and nothing begun, when a block lies on all "
            "of the targets already.");
      });
  CLI::App& host = add_group(root, "host", "Look at the hypervisor hosts");
  add_command<NoOptions>(host, arguments, "list", "List all running hosts", host_list, nothing);
}

void add_lease(CLI::App& root, Arguments& arguments) {
  CLI::App& lease = add_group(root, "lease", "Look at and break the right to write a disk");
  add_command<DiskOptions>(lease, arguments, "show", "Show who holds a disk's lease", lease_show,
                           disk_name);
  add_command<LeaseReleaseOptions>(
      lease, arguments, "release", "Break the lease of a host that is gone", lease_release,
      [](CLI::App& app, LeaseReleaseOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        app.add_flag("--force", options.force, "Even if the holder is a running host");
        app.footer(
            "A host's lease ends by itself some seconds after the host; this is for not waiting. "
            "Refused with status 8 when the holder runs. No lease at all is no error.");
      });
}

void add_metadata(CLI::App& root, Arguments& arguments) {
  CLI::App& metadata = add_group(root, "metadata", "Save and restore what is in ZooKeeper");
  add_command<DumpOptions>(
      metadata, arguments, "dump", "Write all records to a file", metadata_dump,
      [](CLI::App& app, DumpOptions& options) {
        app.add_option("FILE", options.file, "Where to (default: stdout)")->type_name("");
        app.footer("Leases and what else ends with a daemon are left out.");
      });
  CLI::App* load = add_command<DumpOptions>(
      metadata, arguments, "load", "Lay out an empty chroot from a dump", metadata_load,
      [](CLI::App& app, DumpOptions& options) {
        app.add_option("FILE", options.file, "A file of metadata dump; -: stdin")
            ->required()
            ->type_name("");
        app.footer(
            "Refused with status 8 where disks or nodes are known already. Stop all daemons "
            "first. What changed after the dump is not in it: see docs/operations.md.");
      });
  // Nothing is created before the file has been looked at.
  load->preparse_callback([&arguments](std::size_t) { arguments.needs_metadata = false; });
  CLI::App* rebuild = add_command<RebuildOptions>(
      metadata, arguments, "rebuild", "Find disks that nodes hold and the metadata lack",
      metadata_rebuild, [](CLI::App& app, RebuildOptions& options) {
        app.add_flag("--apply", options.apply, "Enter them; without, they are only shown");
        app.add_flag("--accept-loss", options.accept_loss,
                     "With --apply, even if a node that has replicas does not run");
        app.add_option("--cluster", options.cluster,
                       "Only lay out an empty chroot for this cluster, so that its nodes start")
            ->type_name("ID");
        app.footer(
            "For the day when ZooKeeper is lost without a dump: see docs/operations.md. Disks that "
            "are known are not touched. Allowed hosts and notes are not on the nodes.");
      });
  rebuild->preparse_callback([&arguments](std::size_t) { arguments.needs_metadata = false; });
}

void add_events(CLI::App& root, Arguments& arguments) {
  add_command<EventsOptions>(
      root, arguments, "events", "Show who did what, newest first", events,
      [](CLI::App& app, EventsOptions& options) {
        app.add_option("--disk", options.disk, "Only what was done to this disk")
            ->type_name("NAME");
        app.add_option("--limit", options.limit, "At most so many, 1 to 1000 (default 100)")
            ->type_name("N");
        app.footer(
            "The newest 1000 events are kept: disks created, deleted, resized, renamed, handed "
            "from host to host, members that went missing or came back, and what was done when "
            "nodes or metadata were lost.");
      });
}

void add_cluster_commands(CLI::App& root, Arguments& arguments) {
  add_command<SyncOptions>(
      root, arguments, "sync", "Bring all replicas of a disk in sync and wait for it", sync_disk,
      [](CLI::App& app, SyncOptions& options) {
        positional(app, "NAME", options.name, "The disk");
        add_blocks(app, options.blocks);
        add_terms(app, options.terms);
        app.footer(
            "Members that were away are healed whatever the blocks. With -o json, progress comes "
            "as one document a line.");
      });
  add_moves(root, arguments);
  add_jobs(root, arguments);
  add_snapshots(root, arguments);
  add_command<DiskOptions>(
      root, arguments, "scrub", "Check all replicas of a disk against their checksums and repair",
      scrub, [](CLI::App& app, DiskOptions& options) {
        disk_name(app, options);
        app.footer(
            "The status is 1 when something could not be repaired. Works while the disk is in use. "
            "`disk verify` compares replicas with each other.");
      });
  add_nodes_and_hosts(root, arguments);
  add_command<DiskOptions>(root, arguments, "advise", "Propose where blocks could lie better",
                           advise_disk, [](CLI::App& app, DiskOptions& options) {
                             disk_name(app, options);
                             app.footer("Nothing is changed: what is proposed is yours to do.");
                           });
  add_command<NoOptions>(
      root, arguments, "topology", "Show sites, nodes, hosts, and how far they are from each other",
      topology, [](CLI::App& app, NoOptions&) {
        app.footer("Latencies are round trips as the hosts measure them all the time.");
      });
  add_lease(root, arguments);
  add_metadata(root, arguments);
  add_events(root, arguments);
  add_command<NoOptions>(root, arguments, "errors", "List recent errors of all hosts, newest first",
                         errors, nothing);
  add_command<NoOptions>(root, arguments, "status", "Show at a glance whether all is well", status,
                         [](CLI::App& app, NoOptions&) {
                           app.footer(
                               "The status is 0 whenever the state could be found out; "
                               "'healthy' tells whether all is well.");
                         });
  add_command<NoOptions>(root, arguments, "diag", "Print everything useful for support", diag,
                         nothing);
  CLI::App* version = add_command<NoOptions>(root, arguments, "version", "Print the version",
                                             show_version, nothing);
  version->preparse_callback([&arguments](std::size_t) { arguments.needs_metadata = false; });
}

// -- the original's subcommands, with its flags and defaults

void describe_create_image(CLI::App& app, CreateImageOptions& options) {
  app.set_help_flag("--help", "Show this help and leave");  // -h was the hypervisor's
  app.add_option("-s", options.size, "Size")->required()->type_name("SIZE");
  app.add_option("-b", options.block_size,
                 "Size of a block (default: create.block_size of --config, or 4MiB)")
      ->type_name("BLOCK_SIZE");
  app.add_option("-l", options.location, "Node (default: create.location of --config)")
      ->type_name("LOCATION");
  app.add_option("-h", options.hypervisor, "Host that may write it (default: any)")
      ->type_name("HYPERVISOR");
  positional(app, "IMAGE", options.name, "Name of the new disk");
}

void describe_synchronize(CLI::App& app, SynchronizeOptions& options) {
  app.add_option("-s", options.start, "First block (default 0)")->type_name("START_BLOCK");
  app.add_option("-e", options.end, "Last block (default -1, the disk's last one)")
      ->type_name("END_BLOCK");
  app.add_flag("-v", options.verbose, "Accepted; progress shows on a terminal by itself");
  positional(app, "IMAGE", options.name, "The disk");
  app.footer("Members that were away are healed whatever the range.");
}

void describe_hypervisor(CLI::App& app, HypervisorOptions& options) {
  positional(app, "IMAGE", options.name, "The disk");
  positional(app, "HYPERVISOR", options.host, "The host");
}

void add_original_commands(CLI::App& root, Arguments& arguments) {
  add_command<CreateImageOptions>(root, arguments, "create_image", "Create a disk on one node",
                                  create_image, describe_create_image)
      ->alias("touch")
      ->group(original_group);
  add_command<DiskOptions>(root, arguments, "destroy_image", "Delete a disk and its data",
                           destroy_image, disk_name)
      ->alias("rm")
      ->group(original_group);
  add_command<NoOptions>(root, arguments, "get_image_names", "Print the disks' names, one a line",
                         get_image_names, nothing)
      ->alias("ls")
      ->group(original_group);
  add_command<DiskOptions>(root, arguments, "get_image_info", "Print a disk and all of its blocks",
                           get_image_info, disk_name)
      ->alias("stat")
      ->group(original_group);
  add_command<DiskOptions>(root, arguments, "get_metadata",
                           "Print the original's JSON document of a disk", get_metadata, disk_name)
      ->group(original_group);
  const auto location = [](CLI::App& app, OriginalLocationOptions& options) {
    positional(app, "IMAGE", options.name, "The disk");
    positional(app, "LOCATION", options.node, "The node");
    app.add_option("START_BLOCK", options.start, "First block (default 0)")->type_name("");
    app.add_option("END_BLOCK", options.end, "Last block (default: the disk's last one)")
        ->type_name("");
  };
  add_command<OriginalLocationOptions>(root, arguments, "add_location",
                                       "Give blocks a location on a node", add_location, location)
      ->group(original_group);
  add_command<OriginalLocationOptions>(root, arguments, "remove_location", "Take blocks off a node",
                                       remove_location, location)
      ->group(original_group);
  add_command<DiskOptions>(root, arguments, "get_statistics", "The same as disk stats", disk_stats,
                           disk_name)
      ->group(original_group);
  add_command<NoOptions>(root, arguments, "get_error_state", "The same as errors", errors, nothing)
      ->group(original_group);
  add_command<SynchronizeOptions>(root, arguments, "synchronize", "Bring a disk in sync",
                                  synchronize, describe_synchronize)
      ->group(original_group);
  add_command<HypervisorOptions>(root, arguments, "add_hypervisor", "Allow a host to write a disk",
                                 add_hypervisor, describe_hypervisor)
      ->group(original_group);
  add_command<HypervisorOptions>(root, arguments, "remove_hypervisor",
                                 "Allow a host no more to write a disk", remove_hypervisor,
                                 describe_hypervisor)
      ->group(original_group);
}

// -- all together

std::unique_ptr<CLI::App> make_parser(Arguments& arguments) {
  auto root = std::make_unique<CLI::App>(
      "Looks at and changes the virtual disks of a UKAI cluster.", "ukaictl");
  root->require_subcommand(1);
  root->fallthrough();
  root->footer(root_footer);
  root->set_help_flag("-h,--help", "Show this help and leave");
  Globals& globals = arguments.globals;
  root->add_option("--config", globals.config, "TOML file with defaults")->type_name("FILE");
  root->add_option("--metadata", globals.metadata, "The metadata servers")
      ->type_name("HOSTS/CHROOT");
  root->add_option("-o,--output", globals.output, "Form of the output: table or json")
      ->type_name("FORM")
      ->check(CLI::IsMember({"table", "json"}).description(""))
      ->capture_default_str();
  root->add_option("--timeout", globals.timeout,
                   "How long to wait for metadata and daemons: seconds, or 500ms, 2s, 1m")
      ->type_name("TIME")
      ->capture_default_str();
  add_disk_commands(*root, arguments);
  add_cluster_commands(*root, arguments);
  add_original_commands(*root, arguments);
  return root;
}

const CLI::App& deepest(const CLI::App& app) {
  for (const CLI::App* chosen : app.get_subcommands()) return deepest(*chosen);
  return app;
}

/// As it was typed: "ukaictl disk create".
std::string path_of(const CLI::App& app) {
  for (const CLI::App* chosen : app.get_subcommands()) {
    return app.get_name() + " " + path_of(*chosen);
  }
  return app.get_name();
}

/// CLI11 notices that a command is absent before it looks at what stands in its place.
std::string what_is_wrong(const CLI::App& root, const CLI::ParseError& error) {
  if (error.get_name() == "RequiredError" && !deepest(root).get_subcommands({}).empty()) {
    for (const std::string& word : root.remaining(true)) {
      if (!word.starts_with('-')) return fmt::format("there is no command '{}'", printable(word));
    }
    return "no command is given";
  }
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

void collect_names(const CLI::App& app, const std::string& prefix,
                   std::vector<std::string>& names) {
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!command->get_subcommands({}).empty()) {
      collect_names(*command, prefix + command->get_name() + " ", names);
      continue;
    }
    names.push_back(prefix + command->get_name());
    for (const std::string& alias : command->get_aliases()) names.push_back(prefix + alias);
  }
}

}  // namespace

Result<Arguments> parse_arguments(const std::vector<std::string>& args) {
  // The parser is bound to `arguments`, whose action outlives it.
  Arguments arguments;
  const auto parser = make_parser(arguments);
  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());  // as CLI11 wants them
    parser->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    arguments.help = deepest(*parser).help();
  } catch (const CLI::ParseError& error) {
    return Error{Code::invalid, fmt::format("{} (see '{} --help')", what_is_wrong(*parser, error),
                                            path_of(*parser))};
  }
  return arguments;
}

std::vector<std::string> command_names() {
  Arguments arguments;
  const auto parser = make_parser(arguments);
  std::vector<std::string> names;
  collect_names(*parser, "", names);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ukai::ctl
