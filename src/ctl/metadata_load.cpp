// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

#include "ctl/commands.h"
#include "ctl/dump.h"
#include "ctl/table.h"
#include "ukai/limits.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t batch_bytes_max = 500'000;  // ZooKeeper takes 1 MB
constexpr std::size_t batch_ops_max = 1000;

Result<std::string> read_file(const std::string& file) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in && !in.eof()) {
    return Error{Code::not_found, fmt::format("cannot read {}", one_line(file))};
  }
  return text;
}

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
  }
  return {};
}

}  // namespace

Result<> metadata_load(Context& context, const DumpOptions& options) {
  // 1. The file alone.
  auto text = read_file(options.file);
  if (!text) return text.error();
  auto dump = parse_dump(*text);
  if (!dump) return dump.error();
  auto counts = check_dump(*dump);
  if (!counts) return counts.error();
  auto raised = raise_epochs(*dump);
  if (!raised) return raised.error();

  // 2. Where it goes to.
  auto connected = context.connect(true);
  if (!connected) return connected.error();
  auto there = laid_out(context);
  if (!there) return there.error();

  // 3. In one transaction where it fits, as it mostly does.
  sort_records(dump->records);
  auto written = write_all(context, std::move(dump->records), *there);
  if (!written) return written.error();
  pb::EventRecord event;
  event.set_what("metadata_loaded");
  event.set_text(
      fmt::format("{} and {}", count_of(counts->disks, "disk"), count_of(counts->nodes, "node")));
  auto told = context.ask(context.catalog().add_event(event));
  if (!told) return told.error();
  context.print(context.json() ? load_json(*counts) : event.text() + " are loaded\n");
  return {};
}

}  // namespace ukai::ctl
