// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "ctl/commands.h"
#include "ctl/dump.h"
#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

constexpr std::size_t reads_at_once = 250;
constexpr int tries_max = 5;  // a disk that is changed meanwhile

struct Seen {
  std::string path;
  std::string data;
  Stat stat;
  std::vector<std::string> children;  ///< paths
};
/// No value: it has gone, or ends with a daemon.
using MaybeSeen = Result<std::optional<Seen>>;

Task<MaybeSeen> look(Coordination& coordination, std::string path) {
  std::optional<Seen> nothing;
  auto znode = co_await coordination.get(path);
  if (znode.failed_with(Code::not_found)) co_return nothing;
  if (!znode) co_return znode.error();
  if (znode->stat.ephemeral_owner != 0) co_return nothing;
  Seen seen;
  seen.path = path;
  seen.data = std::move(znode->data);
  seen.stat = znode->stat;
  if (seen.stat.children > 0) {
    auto names = co_await coordination.children(path);
    if (names.failed_with(Code::not_found)) co_return nothing;
    if (!names) co_return names.error();
    for (const std::string& name : *names) seen.children.push_back(path + "/" + name);
  }
  co_return std::optional<Seen>(std::move(seen));
}

Task<Result<std::vector<Seen>>> look_at_all(Coordination& coordination,
                                            std::vector<std::string> paths) {
  std::vector<Seen> out;
  for (std::size_t at = 0; at < paths.size(); at += reads_at_once) {
    std::vector<Task<MaybeSeen>> tasks;
    for (std::size_t i = at; i < std::min(at + reads_at_once, paths.size()); ++i) {
      tasks.push_back(look(coordination, paths[i]));
    }
    auto looks = co_await gather(std::move(tasks));
    for (MaybeSeen& seen : looks) {
      if (!seen) co_return seen.error();
      if (*seen) out.push_back(std::move(**seen));
    }
  }
  co_return out;
}

bool is_disk(const std::string& path) {
  constexpr std::string_view folder = "/ukai/disks/";
  return path.starts_with(folder) && path.find('/', folder.size()) == std::string::npos;
}

/// The whole tree, level by level. stale: a disk was changed meanwhile, so that its map and its
/// record need not belong together (each change of a map writes the record).
Task<Result<std::vector<DumpRecord>>> walk(Coordination& coordination) {
  std::vector<DumpRecord> records;
  std::map<std::string, std::int32_t> disks;
  std::vector<std::string> level{"/ukai"};
  while (!level.empty()) {
    auto seen = co_await look_at_all(coordination, std::exchange(level, {}));
    if (!seen) co_return seen.error();
    for (Seen& znode : *seen) {
      if (is_disk(znode.path)) disks[znode.path] = znode.stat.version;
      level.insert(level.end(), znode.children.begin(), znode.children.end());
      records.push_back({std::move(znode.path), std::move(znode.data)});
    }
  }
  std::vector<std::string> paths;
  for (const auto& [path, version] : disks) paths.push_back(path);
  auto again = co_await look_at_all(coordination, std::move(paths));
  if (!again) co_return again.error();
  const bool same = again->size() == disks.size() &&
                    std::all_of(again->begin(), again->end(), [&](const Seen& znode) {
                      return disks[znode.path] == znode.stat.version;
                    });
  if (!same) co_return Error{Code::stale, "disks are changed all the time; try again"};
  co_return records;
}

/// A file under its name is whole.
Result<> write_file(const std::string& file, const std::string& text) {
  const std::string part = fmt::format("{}.{}.part", file, getpid());
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out || std::rename(part.c_str(), file.c_str()) != 0) {
    (void)std::remove(part.c_str());
    return Error{Code::io, fmt::format("cannot write {}", file)};
  }
  return {};
}

}  // namespace

Result<> metadata_dump(Context& context, const DumpOptions& options) {
  auto known = load_names(context);  // says when there is no UKAI at all
  if (!known) return known.error();
  Result<std::vector<DumpRecord>> records = Error{Code::stale, ""};
  for (int i = 0; i < tries_max && records.failed_with(Code::stale); ++i) {
    records = context.ask(walk(context.catalog().coordination()));
  }
  if (!records) return records.error();
  Dump dump;
  dump.unix_s = context.environment().unix_s();
  dump.records = std::move(*records);
  const std::string text = dump_text(dump);
  if (!options.file.empty() && options.file != "-") return write_file(options.file, text);
  context.print(text);
  return {};
}

}  // namespace ukai::ctl
