// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/image_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/unique_fd.h"
#include "ctl/progress_bar.h"

namespace ukai::ctl {
namespace {

constexpr std::uint64_t shown_unit_bytes = 1U << 20U;  // what the bar counts

}  // namespace

std::string absolute_path(const std::string& file) {
  std::error_code failure;
  const auto whole = std::filesystem::absolute(file, failure);
  return failure ? file : whole.string();
}

Result<> copy_image(Context& context, const Conversion& conversion, std::uint64_t size_bytes) {
  Environment& environment = context.environment();
  ProgressBar bar(environment.err, environment.err_is_terminal);
  const std::uint64_t total = std::max<std::uint64_t>(size_bytes / shown_unit_bytes, 1);
  bar.update(0, total);
  return convert_image(conversion, environment.interrupted, [&](double part) {
    const auto bytes = static_cast<std::uint64_t>(part * static_cast<double>(size_bytes));
    bar.update(bytes / shown_unit_bytes, total, bytes);
  });
}

Result<> sync_file(const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd.valid() && ::fsync(fd.get()) == 0) return {};
  return Error{Code::io, fmt::format("cannot make {} durable: {}", path, std::strerror(errno))};
}

std::uint64_t file_bytes(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

}  // namespace ukai::ctl
