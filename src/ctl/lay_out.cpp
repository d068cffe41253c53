// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/lay_out.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/progress_bar.h"
#include "ctl/table.h"
#include "ukai/limits.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t batch_bytes_max = 500'000;  // ZooKeeper takes 1 MB
constexpr std::size_t batch_ops_max = 1000;

/// What lies below /ukai already: nothing, or the folders that a daemon makes when it starts.
Result<bool> laid_out(Context& context) {
  Coordination& coordination = context.catalog().coordination();
  bool any = false;
  for (const char* folder : {"/ukai", "/ukai/names", "/ukai/disks", "/ukai/nodes"}) {
    auto names = context.ask(coordination.children(folder));
    if (names.failed_with(Code::not_found)) continue;
    if (!names) return names.error();
    any = true;
    if (std::string_view(folder) == "/ukai" || names->empty()) continue;
    return Error{
        Code::refused,
        fmt::format("{} is not empty: {} has {}; a dump is loaded into an empty chroot only",
                    context.settings().servers, folder, one_line(names->front()))};
  }
  return any;
}

std::size_t depth(const std::string& path) {
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
}

/// Folders first; names last, so that a disk is seen when all of it is there.
void sort_records(std::vector<DumpRecord>& records) {
  std::stable_sort(records.begin(), records.end(), [](const auto& a, const auto& b) {
    const bool a_name = a.path.starts_with("/ukai/names/");
    const bool b_name = b.path.starts_with("/ukai/names/");
    if (a_name != b_name) return b_name;
    return depth(a.path) < depth(b.path);
  });
}

Result<Op> op_of(Context& context, DumpRecord& record, bool may_exist, bool& needed) {
  needed = true;
  if (record.path.starts_with("/ukai/events/")) {
    return Op::create_sequential("/ukai/events/e-", std::move(record.data));
  }
  if (may_exist && depth(record.path) <= 2) {
    auto there = context.ask(context.catalog().coordination().get(record.path));
    if (!there && there.code() != Code::not_found) return there.error();
    needed = !there || !record.data.empty();
    if (there) return Op::set(record.path, std::move(record.data), there->stat.version);
  }
  return Op::create(record.path, std::move(record.data));
}

Result<> write_all(Context& context, std::vector<DumpRecord> records, bool may_exist) {
  Coordination& coordination = context.catalog().coordination();
  std::vector<Op> batch;
  std::size_t bytes = 0;
  bool begun = false;
  ProgressBar bar(context.environment().err, context.environment().err_is_terminal);
  for (std::size_t i = 0; i < records.size(); ++i) {
    bool needed = false;
    auto op = op_of(context, records[i], may_exist, needed);
    if (!op) return op.error();
    bytes += op->path.size() + op->data.size() + 64;
    if (needed) batch.push_back(std::move(*op));
    const bool last = i + 1 == records.size();
    if (!last && batch.size() < batch_ops_max && bytes < batch_bytes_max) continue;
    auto done = context.ask(coordination.commit(std::exchange(batch, {})));
    if (!done && !begun) return done.error();
    if (!done) {
      return Error{done.code(), fmt::format("{}; a part is loaded: remove /ukai of this chroot and "
                                            "load again",
                                            done.error().what)};
    }
    begun = true;
    bytes = 0;
    bar.update(i + 1, records.size());
  }
  return {};
}

}  // namespace

Result<> lay_out(Context& context, std::vector<DumpRecord> records) {
  auto there = laid_out(context);
  if (!there) return there.error();
  sort_records(records);
  return write_all(context, std::move(records), *there);
}

}  // namespace ukai::ctl
