// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "ctl/commands.h"
#include "ctl/disk_access.h"
#include "ctl/image_copy.h"
#include "ctl/image_view.h"
#include "ctl/local_mount.h"
#include "ctl/lookup.h"
#include "ukai/history.h"
#include "ukai/snapshot_change.h"

namespace ukai::ctl {
namespace {

Error file_error(const std::string& what, const std::string& file, int error) {
  Code code = Code::io;
  if (error == ENOENT || error == ENOTDIR) code = Code::not_found;
  if (error == EEXIST) code = Code::exists;
  if (error == ENOSPC || error == EDQUOT) code = Code::no_space;
  return {code, fmt::format("cannot {} {}: {}", what, file, std::strerror(error))};
}

Error file_there(const std::string& file) {
  return {Code::exists, fmt::format("{} exists already; --force replaces it", file)};
}

Result<> check_target(const std::string& file, bool force) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return file_error("look at", file, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{Code::invalid, fmt::format("{} is there, and is no plain file", file)};
  }
  if (!force) return file_there(file);
  return {};
}

/// The new file under a name of its own, beside its place; it goes when nobody keeps it.
class PartFile {
 public:
  static Result<std::unique_ptr<PartFile>> make(const std::string& file) {
    const std::filesystem::path place(file);
    const std::string part =
        (place.parent_path() / fmt::format(".{}.part-XXXXXX", place.filename().string())).string();
    auto made = std::unique_ptr<PartFile>(new PartFile(part));
    const int fd = ::mkostemp(made->path_.data(), O_CLOEXEC);
    if (fd < 0) {
      made->kept_ = true;
      return file_error("write", file, errno);
    }
    const mode_t mask = ::umask(0);  // as for every new file, which mkostemp() does not ask
    ::umask(mask);
    (void)::fchmod(fd, 0666U & ~mask);
    ::close(fd);
    return made;
  }
  ~PartFile() {
    if (!kept_) ::unlink(path_.c_str());
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::string& path() const { return path_; }
  /// Durable, and under its name.
  Result<> keep(const std::string& file, bool force) {
    auto durable = sync_file(path_, O_WRONLY);
    if (!durable) return durable;
    const unsigned how = force ? 0 : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, file.c_str(), how) != 0) {
      if (errno == EEXIST) return file_there(file);
      return file_error("write", file, errno);
    }
    kept_ = true;
    return sync_file(std::filesystem::path(file).parent_path().string(), O_RDONLY | O_DIRECTORY);
  }

 private:
  explicit PartFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
  bool kept_ = false;
};

Error being_written(const std::string& why) {
  return {Code::busy, why + ": export a snapshot of it, or --force for a copy of many instants"};
}

/// Nobody has the disk open for writing: whoever does so from now on makes the record's guest epoch
/// larger, which is returned.
Result<std::uint64_t> refuse_writers(Context& context, const pb::DiskRecord& record) {
  auto lease = take_idle_lease(context, record);
  if (lease.failed_with(Code::busy)) return being_written(lease.error().what);
  if (!lease) return lease.error();
  return (*lease)->entry().record.guest_epoch();
}

/// The file to read, and of which size.
struct Source {
  pb::DiskRecord record;
  std::string snapshot;
  std::uint64_t size_bytes = 0;
  std::string file_name;
};

Result<Source> find_source(Context& context, const std::string& typed) {
  auto name = parse_snapshot_name(typed);
  if (!name) return name.error();
  auto entry = load_disk(context, name->disk.str());
  if (!entry) return entry.error();
  Source source{std::move(entry->record), name->snapshot, 0, name->disk.str()};
  source.size_bytes = source.record.size();
  if (source.snapshot.empty()) return source;
  const pb::Snapshot* snapshot = find_snapshot(source.record, source.snapshot);
  if (snapshot == nullptr) {
    return Error{Code::not_found,
                 fmt::format("disk {} has no snapshot {}", source.record.name(), source.snapshot)};
  }
  source.size_bytes = snapshot->size();
  source.file_name = name->text();
  return source;
}

/// `to` gets what `source` holds, all of one instant unless the operator does without.
Result<> copy_source(Context& context, const Source& source, const Conversion& conversion,
                     bool force) {
  if (!source.snapshot.empty() || force) return copy_image(context, conversion, source.size_bytes);
  auto before = refuse_writers(context, source.record);
  if (!before) return before.error();
  auto copied = copy_image(context, conversion, source.size_bytes);
  if (!copied) return copied;
  auto after = load_disk(context, source.record.name());
  if (!after) return after.error();
  if (after->record.id() == source.record.id() && after->record.guest_epoch() == *before) return {};
  return being_written(
      fmt::format("disk {} was opened for writing meanwhile", source.record.name()));
}

}  // namespace

Result<> disk_export(Context& context, const DiskExportOptions& options) {
  // 1. What was typed, before anybody is disturbed.
  const std::string format = options.format.empty() ? format_of_name(options.file) : options.format;
  if (auto known = check_image_format(format); !known) return known;
  auto source = find_source(context, options.name);
  if (!source) return source.error();
  const std::string file = absolute_path(options.file);
  if (auto clear = check_target(file, options.force); !clear) return clear;
  auto mounts = find_local_mounts(context, options.mount);
  if (!mounts) return mounts.error();
  auto mount = mount_of_disk(context, *mounts, source->record);
  if (!mount) return mount.error();

  // 2. The copy, whole or not at all.
  auto part = PartFile::make(file);
  if (!part) return part.error();
  Conversion conversion;
  conversion.from = mount->folder + "/" + source->file_name;
  conversion.from_format = "raw";
  conversion.to = (*part)->path();
  conversion.to_format = format;
  conversion.force_share = options.force;
  auto copied = copy_source(context, *source, conversion, options.force);
  if (!copied) return copied;
  auto kept = (*part)->keep(file, options.force);
  if (!kept) return kept;
  if (context.json()) {
    const ImageDone done{file, format, file_bytes(file), mount->host.id()};
    context.print(disk_export_json(source->record, source->snapshot, done, source->size_bytes));
  }
  return {};
}

}  // namespace ukai::ctl
