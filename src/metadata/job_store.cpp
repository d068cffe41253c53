// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/job_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/unix_time.h"
#include "metadata/catalog_io.h"
#include "metadata/catalog_paths.h"
#include "ukai/catalog.h"
#include "ukai/limits.h"

namespace ukai {
namespace {

constexpr std::size_t id_digits = 8;  // of the disk's id

std::string number_name(std::uint32_t number) { return fmt::format("{:08x}", number); }

std::string job_path(const JobKey& key) {
  return jobs_path(Catalog::disk_path(key.disk)) + "/" + number_name(key.number);
}

std::string active_path(const JobKey& key) {
  return active_jobs_path() + "/" + key.disk.to_string() + "-" + number_name(key.number);
}

std::optional<std::uint32_t> parse_number(std::string_view text, int base) {
  std::uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Names that nobody of ours has given are left alone.
std::optional<JobKey> parse_active(std::string_view name) {
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  auto disk = DiskId::parse(std::string(name.substr(0, dash)));
  const auto number = parse_number(name.substr(dash + 1), 16);
  if (!disk.ok() || !number) return std::nullopt;
  return JobKey{*disk, *number};
}

}  // namespace

bool has_ended(const pb::JobRecord& job) {
  return job.state() != pb::JobRecord::QUEUED && job.state() != pb::JobRecord::RUNNING;
}

Task<Result<std::vector<std::uint32_t>>> JobStore::numbers(DiskId disk) {
  auto names = co_await coordination_.children(jobs_path(Catalog::disk_path(disk)));
  if (!names) co_return names.error();
  std::vector<std::uint32_t> out;
  for (const std::string& name : *names) {
    if (const auto number = parse_number(name, 16)) out.push_back(*number);
  }
  std::sort(out.begin(), out.end());
  co_return out;
}

Task<Result<JobEntry>> JobStore::create(DiskId disk, pb::JobRecord record) {
  for (int attempt = 0; attempt < limits::metadata_conflicts_max; ++attempt) {
    auto before = co_await numbers(disk);
    if (!before) co_return before.error();
    const JobKey key{disk, before->empty() ? 1 : before->back() + 1};
    record.set_id(fmt::format("{}-{}", disk.to_string().substr(0, id_digits), key.number));
    record.set_disk_id(disk.to_string());
    record.set_op(new_operation());
    record.set_created_unix_s(unix_now_s());
    std::vector<Op> ops;
    ops.push_back(Op::create(job_path(key), encode_record(record)));
    ops.push_back(Op::create(active_path(key), ""));
    Probe probe{&mark_has_op<pb::JobRecord>, job_path(key), record.op()};
    auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
    if (done.failed_with(Code::exists)) continue;
    if (!done) co_return done.error();
    // Best effort: what is left over goes with the next one.
    static_cast<void>(co_await trim(disk));
    co_return JobEntry{key, std::move(record), 0};
  }
  co_return Error{Code::stale, "others ask for jobs of this disk again and again"};
}

Task<Result<>> JobStore::trim(DiskId disk) {
  auto kept = co_await of_disk(disk);
  if (!kept) co_return kept.error();
  auto ended = std::count_if(kept->begin(), kept->end(),
                             [](const JobEntry& entry) { return has_ended(entry.record); });
  for (const JobEntry& entry : *kept) {
    if (static_cast<std::size_t>(ended) <= limits::jobs_kept) break;
    if (!has_ended(entry.record)) continue;
    std::vector<Op> ops{Op::remove(job_path(entry.key))};
    Probe probe{&path_is_gone, job_path(entry.key), ""};
    auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
    if (!done && !done.failed_with(Code::not_found)) co_return done;
    --ended;
  }
  co_return Unit{};
}

Task<Result<JobEntry>> JobStore::load(JobKey key) {
  auto loaded = co_await load_record<pb::JobRecord>(coordination_, job_path(key));
  if (!loaded) co_return loaded.error();
  co_return JobEntry{key, std::move(loaded->record), loaded->stat.version};
}

Task<Result<JobEntry>> JobStore::update(JobEntry entry, pb::JobRecord changed) {
  changed.set_op(new_operation());
  std::vector<Op> ops;
  ops.push_back(Op::set(job_path(entry.key), encode_record(changed), entry.version));
  if (has_ended(changed) && !has_ended(entry.record)) {
    ops.push_back(Op::remove(active_path(entry.key)));
  }
  Probe probe{&mark_has_op<pb::JobRecord>, job_path(entry.key), changed.op()};
  auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), std::move(probe));
  if (!done) co_return done.error();
  co_return JobEntry{entry.key, std::move(changed), entry.version + 1};
}

std::unique_ptr<Coordination::Watch> JobStore::watch_active(std::function<void()> changed) {
  return coordination_.watch(active_jobs_path(), true, std::move(changed));
}

Task<Result<std::vector<JobKey>>> JobStore::active() {
  auto names = co_await coordination_.children(active_jobs_path());
  // Laid out by a daemon that knew of no jobs.
  if (names.failed_with(Code::not_found)) co_return std::vector<JobKey>();
  if (!names) co_return names.error();
  std::vector<JobKey> out;
  for (const std::string& name : *names) {
    if (const auto key = parse_active(name)) out.push_back(*key);
  }
  std::sort(out.begin(), out.end());
  co_return out;
}

Task<Result<std::vector<JobEntry>>> JobStore::of_disk(DiskId disk) {
  std::vector<JobEntry> out;
  auto all = co_await numbers(disk);
  if (all.failed_with(Code::not_found)) co_return out;
  if (!all) co_return all.error();
  std::vector<Task<Result<JobEntry>>> tasks;
  for (const std::uint32_t number : *all) tasks.push_back(load(JobKey{disk, number}));
  auto entries = co_await gather(std::move(tasks));
  for (auto& entry : entries) {
    if (entry.failed_with(Code::not_found)) continue;  // dropped meanwhile
    if (!entry) co_return entry.error();
    out.push_back(std::move(*entry));
  }
  co_return out;
}

Task<Result<JobEntry>> JobStore::find(std::string id) {
  const Error unknown{Code::not_found, "there is no job '" + id + "'"};
  const auto dash = id.find('-');
  const auto number =
      dash == id_digits ? parse_number(std::string_view(id).substr(dash + 1), 10) : std::nullopt;
  if (!number) co_return unknown;
  auto disks = co_await coordination_.children(disks_path());
  if (!disks) co_return disks.error();
  for (const std::string& name : *disks) {
    auto disk = DiskId::parse(name);
    if (!disk.ok() || !name.starts_with(id.substr(0, id_digits))) continue;
    const JobKey key{*disk, *number};
    auto entry = co_await load(key);
    if (entry.ok() || !entry.failed_with(Code::not_found)) co_return entry;
  }
  co_return unknown;
}

}  // namespace ukai
