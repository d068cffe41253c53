// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands.h"
#include "ctl/job_view.h"
#include "ctl/jobs.h"
#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

constexpr int tries_max = 20;  // the runner writes once a second

/// Changes a job that has not ended; `change` puts it into the record.
template <class Change>
Result<> change_job(Context& context, const std::string& id, const Change& change) {
  for (int i = 0; i < tries_max; ++i) {
    auto entry = context.ask(context.jobs().find(id));
    if (!entry) return entry.error();
    if (has_ended(entry->record)) {
      return Error{Code::invalid,
                   fmt::format("job {} is {} already", id, to_string(entry->record.state()))};
    }
    pb::JobRecord changed = entry->record;
    change(changed);
    auto done = context.ask(context.jobs().update(*entry, changed));
    if (done.failed_with(Code::stale)) continue;
    if (!done) return done.error();
    return {};
  }
  return Error{Code::busy, fmt::format("job {} is changed by others again and again", id)};
}

Result<std::vector<pb::JobRecord>> jobs_of(Context& context, const std::string& name, bool all) {
  std::vector<DiskId> disks;
  if (!name.empty()) {
    auto disk = find_disk(context, name);
    if (!disk) return disk.error();
    disks.push_back(*disk);
  } else if (all) {
    auto names = load_names(context);
    if (!names) return names.error();
    for (const DiskName& one : *names) {
      auto disk = context.ask(context.catalog().find_disk(one));
      if (disk.ok()) disks.push_back(*disk);
    }
  } else {
    auto active = context.ask(context.jobs().active());
    if (!active) return active.error();
    for (const JobKey& key : *active) {
      if (disks.empty() || disks.back() != key.disk) disks.push_back(key.disk);
    }
  }
  std::vector<pb::JobRecord> out;
  for (const DiskId disk : disks) {
    auto jobs = context.ask(context.jobs().of_disk(disk));
    if (!jobs) return jobs.error();
    for (JobEntry& job : *jobs) {
      if (all || !has_ended(job.record)) out.push_back(std::move(job.record));
    }
  }
  return out;
}

}  // namespace

Result<> job_list(Context& context, const JobListOptions& options) {
  auto jobs = jobs_of(context, options.name, options.all);
  if (!jobs) return jobs.error();
  context.print(context.json() ? job_list_json(*jobs) : job_list_table(*jobs));
  return {};
}

Result<> job_info(Context& context, const JobOptions& options) {
  auto job = context.ask(context.jobs().find(options.id));
  if (!job) return job.error();
  context.print(context.json() ? job_json("job_info", job->record) : job_info_text(job->record));
  return {};
}

Result<> job_wait(Context& context, const JobsOptions& options) {
  std::vector<JobEntry> jobs;
  for (const std::string& id : options.ids) {
    auto job = context.ask(context.jobs().find(id));
    if (!job) return job.error();
    jobs.push_back(std::move(*job));
  }
  return follow_jobs(context, "job", std::move(jobs), [&](const pb::JobRecord& job) {
    if (context.json()) return context.print_now(job_end_json("job", job));
    context.print(fmt::format("job {} is done\n", job.id()));
  });
}

/// All that can be are cancelled, if all of them exist.
Result<> job_cancel(Context& context, const JobsOptions& options) {
  for (const std::string& id : options.ids) {
    auto job = context.ask(context.jobs().find(id));
    if (!job) return job.error();
  }
  Result<> first;
  for (const std::string& id : options.ids) {
    auto done = change_job(context, id, [](pb::JobRecord& job) { job.set_cancel(true); });
    if (!done && first.ok()) first = done;
    if (!done || !context.json()) continue;
    auto job = context.ask(context.jobs().find(id));
    if (!job) return job.error();
    context.print(options.ids.size() == 1 ? job_json("job_info", job->record)
                                          : job_line_json("job_info", job->record));
  }
  return first;
}

Result<> job_rate(Context& context, const JobRateOptions& options) {
  auto rate = parse_rate(options.rate);
  if (!rate) return rate.error();
  auto done =
      change_job(context, options.id, [&](pb::JobRecord& job) { job.set_rate_bytes_per_s(*rate); });
  if (!done) return done;
  auto job = context.ask(context.jobs().find(options.id));
  if (!job) return job.error();
  if (context.json()) context.print(job_json("job_info", job->record));
  return {};
}

}  // namespace ukai::ctl
