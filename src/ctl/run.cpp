// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/run.h"

#include "ctl/arguments.h"
#include "ctl/exit_status.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

int fail(Environment& environment, ExitStatus status, std::string_view what) {
  environment.out.flush();
  environment.err << "ukaictl: " << one_line(what) << std::endl;
  return static_cast<int>(status);
}

int fail(Environment& environment, const Error& error) {
  return fail(environment, exit_status(error.code), error.what);
}

int run_action(Arguments& arguments, Environment& environment) {
  auto settings = resolve_settings(arguments.globals, environment.variable);
  if (!settings) return fail(environment, settings.error());
  Context context(environment, std::move(*settings));
  if (arguments.needs_metadata) {
    auto connected = context.connect();
    if (!connected) return fail(environment, connected.error());
  }
  auto done = arguments.action(context);
  if (environment.interrupted()) {
    // Who leaves a job is told how to come back to it.
    if (done.failed_with(Code::shut_down)) {
      return fail(environment, ExitStatus::failed, done.error().what);
    }
    return interrupted_status;
  }
  if (!done) return fail(environment, done.error());
  environment.out.flush();
  if (!environment.out) return fail(environment, ExitStatus::failed, "cannot write the output");
  return static_cast<int>(ExitStatus::done);
}

}  // namespace

int run(const std::vector<std::string>& args, Environment& environment) {
  auto arguments = parse_arguments(args);
  if (!arguments) return fail(environment, arguments.error());
  if (!arguments->help.empty()) {
    environment.out << arguments->help << std::flush;
    return static_cast<int>(ExitStatus::done);
  }
  return run_action(*arguments, environment);
}

}  // namespace ukai::ctl
