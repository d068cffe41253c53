// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/create_plan.h"
#include "ctl/disk_access.h"
#include "ctl/image_copy.h"
#include "ctl/image_view.h"
#include "ctl/local_mount.h"
#include "ctl/lookup.h"

namespace ukai::ctl {
namespace {

// What an interrupted import may take to remove its disk.
constexpr unsigned undo_patience_s = 15;
// The host hears of our closed handles a moment after we have closed them.
constexpr int undo_tries = 50;
constexpr auto undo_pause = std::chrono::milliseconds(100);

Result<> check_file(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::not_found : Code::io;
    return Error{code, fmt::format("cannot read {}: {}", file, std::strerror(errno))};
  }
  if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) return {};
  return Error{Code::invalid, fmt::format("{} is no file with an image", file)};
}

Result<ImageInfo> look_at_image(Context& context, const DiskImportOptions& options) {
  if (!options.format.empty()) {
    if (auto known = check_image_format(options.format); !known) return known.error();
  }
  if (auto there = check_file(options.file); !there) return there.error();
  auto info =
      inspect_image(absolute_path(options.file), options.format, context.environment().interrupted);
  if (!info) return info;
  const std::string& name = options.file;
  if (auto known = check_image_format(info->format); !known) {
    return Error{Code::invalid, fmt::format("{} is an image of format {}: only raw and qcow2 can "
                                            "be imported",
                                            name, printable(info->format))};
  }
  // An image from elsewhere could name any file of this machine.
  if (!info->other_file.empty()) {
    return Error{Code::refused,
                 fmt::format("{} has a part of its data in another file, {}: make one of both "
                             "first ('qemu-img convert')",
                             name, info->other_file)};
  }
  if (info->size_bytes == 0) return Error{Code::invalid, fmt::format("{} is empty", name)};
  return info;
}

/// The disk's size: as typed, else that of the image in whole blocks.
Result<std::string> size_for(const DiskCreateOptions& create, std::uint64_t default_block_bytes,
                             std::uint64_t image_bytes) {
  if (!create.size.empty()) {
    auto size = parse_size(create.size);
    if (!size) return size.error();
    if (*size >= image_bytes) return create.size;
    return Error{Code::invalid, fmt::format("--size {} is less than the image's {} bytes",
                                            create.size, image_bytes)};
  }
  std::uint64_t block = default_block_bytes;
  if (!create.block_size.empty()) {
    auto parsed = parse_size(create.block_size);
    if (!parsed) return parsed.error();
    block = *parsed;
  }
  if (block == 0) return Error{Code::invalid, "block size 0"};
  return std::to_string((image_bytes + block - 1) / block * block);
}

Result<LocalMount> fill(Context& context, const pb::DiskRecord& record, const std::string& file,
                        const ImageInfo& info, const std::vector<LocalMount>& mounts) {
  auto mount = mount_of_disk(context, mounts, record);
  if (!mount) return mount.error();
  Conversion conversion;
  conversion.from = absolute_path(file);
  conversion.from_format = info.format;
  conversion.to = mount->folder + "/" + record.name();
  conversion.to_format = "raw";
  conversion.into_disk = true;
  auto copied = copy_image(context, conversion, info.size_bytes);
  if (!copied) return copied.error();
  auto durable = sync_file(conversion.to, O_RDWR);
  if (!durable) return durable.error();
  return mount;
}

/// Removes the disk that was made; `why` if that is so, else what is left as well.
Error undo(Context& context, const pb::DiskRecord& record, const Error& why) {
  for (int i = 0;; ++i) {
    auto entry = load_disk(context, record.name());
    if (entry.failed_with(Code::not_found)) return why;
    Result<> deleted = entry ? Result<>() : Result<>(entry.error());
    if (entry.ok() && entry->record.id() != record.id()) return why;
    if (entry.ok()) deleted = delete_disk(context, *entry);
    if (deleted) return why;
    if (i < undo_tries && deleted.failed_with(Code::busy)) {
      std::this_thread::sleep_for(undo_pause);
      continue;
    }
    const bool interrupted = context.environment().interrupted();
    const Code code = interrupted ? Code::shut_down : why.code;  // so that it is printed
    return {code, fmt::format("{}; disk {} is left, unfinished: delete it ({})", why.what,
                              record.name(), deleted.error().what)};
  }
}

}  // namespace

Result<> disk_import(Context& context, const DiskImportOptions& options) {
  // 1. What is to be copied, and through which mount: nothing is changed yet.
  auto info = look_at_image(context, options);
  if (!info) return info.error();
  DiskCreateOptions create = options.create;
  auto size = size_for(create, context.settings().create_block_size, info->size_bytes);
  if (!size) return size.error();
  create.size = *size;
  auto mounts = find_local_mounts(context, options.mount);
  if (!mounts) return mounts.error();

  // 2. The disk, which goes again when anything fails.
  if (context.environment().stop_patience) context.environment().stop_patience(undo_patience_s);
  auto record = make_disk(context, create);
  if (!record) return record.error();
  auto mount = fill(context, *record, options.file, *info, *mounts);
  if (!mount) return undo(context, *record, mount.error());
  if (context.json()) {
    const std::string file = absolute_path(options.file);
    const ImageDone done{file, info->format, file_bytes(file), mount->host.id()};
    context.print(disk_import_json(*record, done, info->size_bytes));
  }
  return {};
}

}  // namespace ukai::ctl
