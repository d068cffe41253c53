// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "ctl/arguments.h"

/// What the declarations of commands share. Only they know CLI11, which is slow to compile.
namespace ukai::ctl {

/// Adds the command `name` to `parent`. `describe` declares its options on the CLI::App it is
/// given and binds them to the Options, which live as long as the parser.
template <class Options, class Describe>
CLI::App* add_command(CLI::App& parent, Arguments& arguments, const std::string& name,
                      const std::string& help,
                      Result<> (*act)(Context&, const std::type_identity_t<Options>&),
                      const Describe& describe) {
  // Shared: the parser's callback and the action it chooses both refer to what was typed.
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand(name, help);
  describe(*app, *options);
  app->callback([&arguments, options, act] {
    arguments.action = [options, act](Context& context) { return act(context, *options); };
  });
  return app;
}

inline void nothing(CLI::App&, NoOptions&) {}

inline void positional(CLI::App& app, const std::string& name, std::string& value,
                       const std::string& help) {
  app.add_option(name, value, help)->required()->type_name("");
}

/// An option that may be repeated, with one value each time.
inline CLI::Option* repeated(CLI::App& app, const std::string& name,
                             std::vector<std::string>& values, const std::string& help) {
  return app.add_option(name, values, help)->allow_extra_args(false);
}

inline void disk_name(CLI::App& app, DiskOptions& options) {
  positional(app, "NAME", options.name, "The disk");
}

inline CLI::App& add_group(CLI::App& root, const std::string& name, const std::string& help) {
  CLI::App& group = *root.add_subcommand(name, help);
  group.require_subcommand(1);
  group.fallthrough();
  return group;
}

inline void add_terms(CLI::App& app, MoveTermsTyped& terms) {
  app.add_option("--rate", terms.rate, "At most so much a second between nodes, \"20M\"")
      ->type_name("BYTES/S");
  app.add_flag("--detach", terms.detach, "Print the job's id and do not wait for its end");
  app.add_flag("--plan", terms.plan, "Only show what would be done");
}

inline void add_blocks(CLI::App& app, std::string& blocks) {
  app.add_option("--blocks", blocks, "Only these blocks")->type_name("A-B");
}

// arguments_images.cpp
void add_create(CLI::App& disk, Arguments& arguments);
void add_images(CLI::App& disk, Arguments& arguments);
// arguments_moves.cpp
void add_moves(CLI::App& root, Arguments& arguments);
void add_jobs(CLI::App& root, Arguments& arguments);
// arguments_snapshots.cpp
void add_snapshots(CLI::App& root, Arguments& arguments);
void add_diff(CLI::App& disk, Arguments& arguments);

}  // namespace ukai::ctl
