// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/move_plan.h"
#include "ukai_records.pb.h"

/// Jobs and plans as text and JSON documents (docs/ukaictl-json.md); no I/O.
namespace ukai::ctl {

/// "sync", "replicate" or "relocate"; "queued", "running", …
std::string to_string(pb::JobRecord::Kind kind);
std::string to_string(pb::JobRecord::State state);

std::string job_list_table(const std::vector<pb::JobRecord>& jobs);
std::string job_list_json(const std::vector<pb::JobRecord>& jobs);
std::string job_info_text(const pb::JobRecord& job);
/// One document, and the same on one line.
std::string job_json(std::string_view kind, const pb::JobRecord& job);
std::string job_line_json(std::string_view kind, const pb::JobRecord& job);
/// One line of a stream: "<kind>_progress" while it runs, `kind` at its end.
std::string job_progress_json(std::string_view kind, const pb::JobRecord& job);
std::string job_end_json(std::string_view kind, const pb::JobRecord& job);
/// The same of a disk that needed no job.
std::string no_job_json(std::string_view kind, const std::string& disk);

std::string plan_text(const std::vector<MovePlan>& plans);
std::string plan_json(const std::vector<MovePlan>& plans);

}  // namespace ukai::ctl
