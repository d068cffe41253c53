// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/context.h"

namespace ukai::ctl {

/// A job as it is to be asked for: a record without an id, of the disk that it names.
struct JobRequest {
  DiskId disk;
  pb::JobRecord job;
};

/// Nothing to ask for where nobody could work on it. unreachable: no ukaid runs.
Result<> check_hosts(Context& context, const std::string& disk);

/// Asks for jobs. One that is asked for already, and goes on, is joined: repeating a command goes
/// on with what it began. unreachable: as check_hosts(); nothing was asked for then.
Result<std::vector<JobEntry>> start_jobs(Context& context, std::vector<JobRequest> requests);

/// Has it neither ended nor been told to?
bool goes_on(const pb::JobRecord& job);

/// Called with each job that is done, as soon as it is.
using TellDone = std::function<void(const pb::JobRecord&)>;

/// Waits until all have ended, with a progress bar or a stream of documents ("<kind>_progress").
/// Errors: the first failure, as the job's record has it; io: a job was cancelled; shut_down: the
/// user does not want to wait any longer (the jobs go on).
Result<> follow_jobs(Context& context, std::string_view kind, std::vector<JobEntry> jobs,
                     const TellDone& tell);

/// Starts, and follows unless `detach`: then it only says which jobs they are.
struct JobTerms {
  std::string_view kind;  ///< of the documents
  bool detach = false;
};
/// `joined`: jobs that do a part of it already. As start_jobs() and follow_jobs().
Result<> run_jobs(Context& context, const JobTerms& terms, std::vector<JobEntry> joined,
                  std::vector<JobRequest> requests, const TellDone& tell);

/// "20M" as bytes a second; 0 for "" and "unlimited". invalid: would never end, or no size.
Result<std::uint64_t> parse_rate(const std::string& typed);

/// A new record for the disk; without moves, and its kind to be set.
JobRequest job_request(Context& context, const pb::DiskRecord& disk, std::uint64_t rate);

}  // namespace ukai::ctl
