// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "ctl/job_view.h"
#include "ctl/lookup.h"
#include "ctl/progress_bar.h"

namespace ukai::ctl {
namespace {

constexpr auto look_interval_min = std::chrono::milliseconds(10);  // some are short
constexpr auto look_interval_max = std::chrono::milliseconds(160);

bool same_work(const pb::JobRecord& a, const pb::JobRecord& b) {
  const auto equal = [](const pb::JobMove& x, const pb::JobMove& y) {
    return x.from() == y.from() && x.to() == y.to() && x.begin() == y.begin() && x.end() == y.end();
  };
  return a.kind() == b.kind() && a.begin() == b.begin() && a.end() == b.end() &&
         std::equal(a.moves().begin(), a.moves().end(), b.moves().begin(), b.moves().end(), equal);
}

Result<JobEntry> join_or_create(Context& context, JobRequest request) {
  auto present = context.ask(context.jobs().of_disk(request.disk));
  if (!present) return present.error();
  for (JobEntry& entry : *present) {
    if (goes_on(entry.record) && same_work(entry.record, request.job)) return std::move(entry);
  }
  return context.ask(context.jobs().create(request.disk, std::move(request.job)));
}

/// Of those that have not begun: at most so many.
std::uint64_t blocks_asked(const pb::JobRecord& job) {
  std::uint64_t blocks = 0;
  for (const pb::JobMove& move : job.moves()) blocks += move.end() - move.begin();
  return blocks;
}

/// How far all of them are together.
struct Sum {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::uint64_t bytes = 0;
  std::string waits;      ///< of one that waits
  bool advances = false;  ///< another one does not
  bool ended = true;

  void add(const pb::JobRecord& job) {
    const bool begun = job.replicas_total() > 0 || has_ended(job);
    done += job.replicas_done();
    total += begun ? job.replicas_total() : blocks_asked(job);
    bytes += job.bytes_moved();
    if (has_ended(job)) return;
    ended = false;
    if (!job.why().empty()) {
      waits = job.why();
    } else if (job.state() == pb::JobRecord::RUNNING) {
      advances = true;
    } else if (waits.empty()) {
      waits = "a host is to begin it";
    }
  }
};

Result<> read_again(Context& context, JobEntry& job) {
  if (has_ended(job.record)) return {};
  auto now = context.ask(context.jobs().load(job.key));
  if (now.ok()) {
    job = std::move(*now);
    return {};
  }
  if (!now.failed_with(Code::not_found)) return now.error();
  return Error{Code::not_found, fmt::format("job {} is gone with its disk", job.record.id())};
}

Error left(const std::vector<JobEntry>& jobs) {
  std::vector<std::string> ids;
  for (const JobEntry& job : jobs) {
    if (!has_ended(job.record)) ids.push_back(job.record.id());
  }
  const bool one = ids.size() == 1;
  return {Code::shut_down, fmt::format("job{} {} go{} on; 'ukaictl job cancel {}' ends {}",
                                       one ? "" : "s", fmt::join(ids, ", "), one ? "es" : "",
                                       fmt::join(ids, " "), one ? "it" : "them")};
}

/// How the jobs have ended, as one.
Result<> outcome(const std::vector<JobEntry>& jobs) {
  for (const JobEntry& job : jobs) {
    const pb::JobRecord& record = job.record;
    if (record.state() == pb::JobRecord::FAILED) {
      return Error{
          code_named(record.error()).value_or(Code::io),
          fmt::format("disk {}: job {} failed: {}", record.disk_name(), record.id(), record.why())};
    }
    if (record.state() == pb::JobRecord::CANCELLED) {
      return Error{Code::io, fmt::format("disk {}: job {} was cancelled; what had arrived stays",
                                         record.disk_name(), record.id())};
    }
  }
  return {};
}

}  // namespace

Result<std::uint64_t> parse_rate(const std::string& typed) {
  if (typed.empty() || typed == "unlimited") return std::uint64_t{0};
  auto parsed = parse_size(typed);
  if (parsed.ok() && *parsed == 0) return Error{Code::invalid, "a rate of 0 would never end"};
  return parsed;
}

JobRequest job_request(Context& context, const pb::DiskRecord& disk, std::uint64_t rate) {
  JobRequest request;
  request.disk = *DiskId::parse(disk.id());
  request.job.set_disk_name(disk.name());
  request.job.set_asked_by(context.environment().author);
  request.job.set_rate_bytes_per_s(rate);
  return request;
}

bool goes_on(const pb::JobRecord& job) { return !has_ended(job) && !job.cancel(); }

Result<> check_hosts(Context& context, const std::string& disk) {
  auto hosts = load_hosts(context);
  if (!hosts) return hosts.error();
  if (!hosts->empty()) return {};
  return Error{Code::unreachable, fmt::format("no ukaid runs that could work on disk {}", disk)};
}

Result<std::vector<JobEntry>> start_jobs(Context& context, std::vector<JobRequest> requests) {
  std::vector<JobEntry> started;
  if (requests.empty()) return started;
  auto possible = check_hosts(context, requests.front().job.disk_name());
  if (!possible) return possible.error();
  for (JobRequest& request : requests) {
    auto job = join_or_create(context, std::move(request));
    if (!job) return job.error();
    started.push_back(std::move(*job));
  }
  return started;
}

Result<> follow_jobs(Context& context, std::string_view kind, std::vector<JobEntry> jobs,
                     const TellDone& tell) {
  Environment& environment = context.environment();
  ProgressBar bar(environment.err, environment.err_is_terminal);
  std::vector<std::string> told(jobs.size());
  auto pause = look_interval_min;
  for (;;) {
    Sum sum;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      auto read = read_again(context, jobs[i]);
      if (!read) return read.error();
      const pb::JobRecord& job = jobs[i].record;
      sum.add(job);
      const bool done = job.state() == pb::JobRecord::DONE;
      const std::string line = done ? "done" : job_progress_json(kind, job);
      if (line == told[i]) continue;  // only what is new is worth a line
      told[i] = line;
      if (done) {
        bar.clear();
        tell(job);
      } else if (context.json() && !has_ended(job)) {
        context.print_now(line);
      }
    }
    if (sum.ended) break;
    bar.update(sum.done, sum.total, sum.bytes, sum.advances ? "" : sum.waits);
    if (environment.interrupted()) return left(jobs);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, look_interval_max);
  }
  bar.clear();
  return outcome(jobs);
}

Result<> run_jobs(Context& context, const JobTerms& terms, std::vector<JobEntry> joined,
                  std::vector<JobRequest> requests, const TellDone& tell) {
  auto started = start_jobs(context, std::move(requests));
  if (!started) return started.error();
  for (JobEntry& job : *started) {
    const bool known = std::any_of(joined.begin(), joined.end(),
                                   [&](const JobEntry& other) { return other.key == job.key; });
    if (!known) joined.push_back(std::move(job));
  }
  if (!terms.detach) return follow_jobs(context, terms.kind, std::move(joined), tell);
  for (const JobEntry& job : joined) {
    context.print(context.json() ? job_line_json("job_started", job.record)
                                 : fmt::format("job {} for disk {}\n", job.record.id(),
                                               job.record.disk_name()));
  }
  return {};
}

}  // namespace ukai::ctl
