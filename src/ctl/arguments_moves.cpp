// SPDX-License-Identifier: BSD-2-Clause
//
// The commands that move blocks, and those that look at the jobs which do.
#include "ctl/argument_parts.h"

namespace ukai::ctl {
namespace {

void add_targets(CLI::App& app, std::vector<std::string>& to) {
  app.add_option("--to", to, "Nodes, or site=PATH or label=WORD: they share the blocks")
      ->required()
      ->type_name("NODE[,NODE...]");
}

void disk_names(CLI::App& app, std::vector<std::string>& names) {
  app.add_option("NAME", names, "The disks")->required()->type_name("NAME...");
}

}  // namespace

void add_moves(CLI::App& root, Arguments& arguments) {
  CLI::App& location = add_group(root, "location", "Say where the blocks of a disk lie");
  const auto describe = [](CLI::App& app, LocationOptions& options) {
    positional(app, "NAME", options.name, "The disk");
    app.add_option("NODE", options.nodes, "The nodes")->required()->type_name("NODE[,NODE...]");
    app.add_option("--blocks", options.blocks, "Only these blocks")->type_name("A-B");
  };
  add_command<LocationOptions>(
      location, arguments, "add", "Give blocks a location on more nodes", location_add,
      [describe](CLI::App& app, LocationOptions& options) {
        describe(app, options);
        app.footer(
            "The new replicas are out of sync until 'ukaictl sync'. Refused with status 8 when a "
            "node is down. A location that is there stays as it is.");
      });
  add_command<LocationOptions>(
      location, arguments, "remove", "Take blocks off nodes", location_remove,
      [describe](CLI::App& app, LocationOptions& options) {
        describe(app, options);
        app.footer(
            "Works while the disk is in use. Refused with status 8 when a block would lose its "
            "last replica in sync; then nothing is changed.");
      });
  add_command<MoveOptions>(
      root, arguments, "replicate", "Add replicas on more nodes, in sync", replicate,
      [](CLI::App& app, MoveOptions& options) {
        disk_names(app, options.names);
        add_targets(app, options.to);
        add_blocks(app, options.blocks);
        add_terms(app, options.terms);
        app.footer(
            "As 'location add', then 'sync', as a job. Named nodes get all of the blocks; of those "
            "with a site or label, one gets each. Interrupted, the job goes on; repeated, it is "
            "joined.");
      });
  add_command<MoveOptions>(
      root, arguments, "relocate", "Move blocks from one node to others", relocate,
      [](CLI::App& app, MoveOptions& options) {
        disk_names(app, options.names);
        app.add_option("--from", options.from, "Where they lie")->required()->type_name("NODE");
        add_targets(app, options.to);
        add_blocks(app, options.blocks);
        add_terms(app, options.terms);
        app.footer(
            "As 'location add', 'sync' and 'location remove', for the blocks that lie on --from, "
            "as "
            "a job. The guest goes on. Several nodes share the blocks. Interrupted, the job goes "
            "on; repeated, it is joined.");
      });
}

void add_jobs(CLI::App& root, Arguments& arguments) {
  CLI::App& job = add_group(root, "job", "Look at long operations and steer them");
  add_command<JobListOptions>(
      job, arguments, "list", "List jobs", job_list, [](CLI::App& app, JobListOptions& options) {
        app.add_option("NAME", options.name, "Only of this disk")->type_name("");
        app.add_flag("--all", options.all, "Those that have ended, too");
      });
  const auto describe = [](CLI::App& app, JobOptions& options) {
    positional(app, "JOB", options.id, "The job's id");
  };
  add_command<JobOptions>(job, arguments, "info", "Show all about a job", job_info, describe);
  const auto several = [](CLI::App& app, JobsOptions& options) {
    app.add_option("JOB", options.ids, "The jobs' ids")->required()->type_name("JOB...");
  };
  add_command<JobsOptions>(job, arguments, "wait", "Wait until jobs have ended", job_wait,
                           [several](CLI::App& app, JobsOptions& options) {
                             several(app, options);
                             app.footer("The status is that of the first one that failed.");
                           });
  add_command<JobsOptions>(job, arguments, "cancel", "End jobs early", job_cancel,
                           [several](CLI::App& app, JobsOptions& options) {
                             several(app, options);
                             app.footer("What has arrived stays; what has not is taken off again.");
                           });
  add_command<JobRateOptions>(job, arguments, "rate", "Change how fast a job may copy", job_rate,
                              [](CLI::App& app, JobRateOptions& options) {
                                positional(app, "JOB", options.id, "The job's id");
                                positional(app, "RATE", options.rate,
                                           "Bytes a second between nodes, or 'unlimited'");
                              });
}

}  // namespace ukai::ctl
