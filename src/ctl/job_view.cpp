// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/job_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/json.h"
#include "ctl/table.h"
#include "ukai/types.h"

namespace ukai::ctl {
namespace {

std::string percent(const pb::JobRecord& job) {
  if (job.state() == pb::JobRecord::DONE) return "100%";
  if (job.replicas_total() == 0) return "-";
  return fmt::format("{}%", job.replicas_done() * 100 / job.replicas_total());
}

std::string rate_text(std::uint64_t rate) {
  return rate == 0 ? "unlimited" : format_size(rate) + "/s";
}

std::string blocks_text(std::uint64_t begin, std::uint64_t end) {
  if (end == 0) return "all";
  return begin + 1 == end ? std::to_string(begin) : fmt::format("{}-{}", begin, end - 1);
}

/// "n1 -> n3" or "n3", of all moves.
std::string way(const pb::JobRecord& job) {
  std::vector<std::string> ways;
  for (const pb::JobMove& move : job.moves()) {
    std::string one = (move.from().empty() ? "" : move.from() + " -> ") + move.to();
    if (std::find(ways.begin(), ways.end(), one) == ways.end()) ways.push_back(std::move(one));
  }
  return join(ways, ", ");
}

Json moves_json(const pb::JobRecord& job) {
  Json moves = Json::array();
  for (const pb::JobMove& move : job.moves()) {
    Json one;
    one["from"] = null_if_empty(move.from());
    one["to"] = move.to();
    one["first"] = move.begin();
    one["last"] = move.end() - 1;
    moves.push_back(std::move(one));
  }
  return moves;
}

void add_job(Json& json, const pb::JobRecord& job) {
  json["job"] = job.id();
  json["disk"] = job.disk_name();
  json["type"] = to_string(job.kind());
  json["state"] = to_string(job.state());
  json["moves"] = moves_json(job);
  json["rate_bytes_per_s"] = job.rate_bytes_per_s();
  json["blocks_done"] = job.replicas_done();
  json["blocks_total"] = job.replicas_total();
  json["bytes_moved"] = job.bytes_moved();
  json["why"] = null_if_empty(job.why());
  json["runner"] = null_if_empty(job.runner());
  json["asked_by"] = null_if_empty(job.asked_by());
  json["part_of"] = null_if_empty(job.part_of());
  json["cancel"] = job.cancel();
  json["created_unix_s"] = job.created_unix_s();
  json["started_unix_s"] = job.started_unix_s();
  json["ended_unix_s"] = job.ended_unix_s();
}

std::string line(std::string_view kind, const pb::JobRecord& job) {
  Json json = document(kind);
  json["name"] = job.disk_name();
  json["job"] = null_if_empty(job.id());
  json["blocks_done"] = job.replicas_done();
  json["blocks_total"] = job.replicas_total();
  json["bytes_moved"] = job.bytes_moved();
  json["why"] = null_if_empty(job.why());
  return line_of(json);
}

std::string duration_text(std::optional<std::uint64_t> seconds) {
  if (!seconds) return "unknown";
  if (*seconds < 60) return fmt::format("{} s", std::max<std::uint64_t>(*seconds, 1));
  return fmt::format("{} min", (*seconds + 59) / 60);
}

}  // namespace

std::string to_string(pb::JobRecord::Kind kind) {
  switch (kind) {
    case pb::JobRecord::REPLICATE:
      return "replicate";
    case pb::JobRecord::RELOCATE:
      return "relocate";
    default:
      return "sync";
  }
}

std::string to_string(pb::JobRecord::State state) {
  switch (state) {
    case pb::JobRecord::RUNNING:
      return "running";
    case pb::JobRecord::DONE:
      return "done";
    case pb::JobRecord::FAILED:
      return "failed";
    case pb::JobRecord::CANCELLED:
      return "cancelled";
    default:
      return "queued";
  }
}

std::string job_list_table(const std::vector<pb::JobRecord>& jobs) {
  Table table({"JOB", "DISK", "TYPE", "TO", "STATE", ">DONE", ">MOVED", "RATE", "ON", "WHY"});
  for (const pb::JobRecord& job : jobs) {
    table.add_row({job.id(), job.disk_name(), to_string(job.kind()), way(job),
                   to_string(job.state()), percent(job), format_size(job.bytes_moved()),
                   rate_text(job.rate_bytes_per_s()), job.runner().empty() ? "-" : job.runner(),
                   job.why().empty() ? "-" : one_line(job.why())});
  }
  return table.text();
}

std::string job_list_json(const std::vector<pb::JobRecord>& jobs) {
  Json json = document("job_list");
  json["jobs"] = Json::array();
  for (const pb::JobRecord& job : jobs) {
    Json one;
    add_job(one, job);
    json["jobs"].push_back(std::move(one));
  }
  return text_of(json);
}

std::string job_info_text(const pb::JobRecord& job) {
  Properties text;
  text.add("job", job.id());
  text.add("disk", job.disk_name());
  text.add("type", to_string(job.kind()));
  text.add("state", to_string(job.state()) + (job.cancel() ? " (is to be cancelled)" : ""));
  if (!job.why().empty()) text.add("why", one_line(job.why()));
  for (const pb::JobMove& move : job.moves()) {
    text.add("blocks " + blocks_text(move.begin(), move.end()),
             (move.from().empty() ? "" : move.from() + " ") + "-> " + move.to());
  }
  if (job.moves().empty()) text.add("blocks", blocks_text(job.begin(), job.end()));
  text.add("done", fmt::format("{} of {} ({})", job.replicas_done(),
                               count_of(job.replicas_total(), "block"), percent(job)));
  text.add("moved", format_size(job.bytes_moved()));
  text.add("rate", rate_text(job.rate_bytes_per_s()));
  text.add("runs on", job.runner().empty() ? "-" : job.runner());
  text.add("asked by", job.asked_by().empty() ? "-" : job.asked_by());
  if (!job.part_of().empty()) text.add("part of", job.part_of());
  text.add("created", format_time(job.created_unix_s()));
  text.add("started", format_time(job.started_unix_s()));
  text.add("ended", format_time(job.ended_unix_s()));
  return text.text();
}

std::string job_json(std::string_view kind, const pb::JobRecord& job) {
  Json json = document(kind);
  add_job(json, job);
  return text_of(json);
}

std::string job_line_json(std::string_view kind, const pb::JobRecord& job) {
  Json json = document(kind);
  add_job(json, job);
  return line_of(json);
}

std::string job_progress_json(std::string_view kind, const pb::JobRecord& job) {
  return line(fmt::format("{}_progress", kind), job);
}

std::string job_end_json(std::string_view kind, const pb::JobRecord& job) {
  return line(kind, job);
}

std::string no_job_json(std::string_view kind, const std::string& disk) {
  pb::JobRecord none;
  none.set_disk_name(disk);
  return line(kind, none);
}

std::string plan_text(const std::vector<MovePlan>& plans) {
  Table table({"DISK", "FROM", "TO", "BLOCKS", ">COUNT", ">AT MOST"});
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> seconds = 0;
  for (const MovePlan& plan : plans) {
    for (const PlannedMove& move : plan.moves) {
      table.add_row({plan.disk.name(), move.move.from().empty() ? "-" : move.move.from(),
                     move.move.to(), blocks_text(move.move.begin(), move.move.end()),
                     std::to_string(move.blocks), format_size(move.bytes_max)});
      bytes += move.bytes_max;
    }
    seconds = seconds && plan.seconds ? std::optional(*seconds + *plan.seconds) : std::nullopt;
  }
  if (table.empty()) return "nothing to change\n";
  return table.text() + fmt::format("at most {}, estimated time: {}; nothing was changed\n",
                                    format_size(bytes), duration_text(seconds));
}

std::string plan_json(const std::vector<MovePlan>& plans) {
  Json json = document("plan");
  json["disks"] = Json::array();
  for (const MovePlan& plan : plans) {
    Json one;
    one["name"] = plan.disk.name();
    one["moves"] = Json::array();
    for (const PlannedMove& move : plan.moves) {
      Json entry;
      entry["from"] = null_if_empty(move.move.from());
      entry["to"] = move.move.to();
      entry["first"] = move.move.begin();
      entry["last"] = move.move.end() - 1;
      entry["blocks"] = move.blocks;
      entry["bytes_max"] = move.bytes_max;
      one["moves"].push_back(std::move(entry));
    }
    one["seconds"] = plan.seconds ? Json(*plan.seconds) : Json(nullptr);
    json["disks"].push_back(std::move(one));
  }
  return text_of(json);
}

}  // namespace ukai::ctl
