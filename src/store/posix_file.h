// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "ukai/result.h"

namespace ukai {

/// An open folder and the path it was opened by, for messages.
struct Folder {
  UniqueFd fd;
  std::string path;
  std::string path_of(std::string_view name) const { return path + "/" + std::string(name); }
};

/// The one place where errno becomes an Error: no_space for a full device or quota, io for
/// everything else. The line is "<what>: <the system's text>".
Error posix_error(int error_number, std::string_view what);

/// Calls `call` again as long as it fails with EINTR.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

Result<Folder> open_folder(const Folder& parent, std::string_view name);
/// Names in the folder, sorted, without "." and "..".
Result<std::vector<std::string>> list_names(const Folder& folder);
/// Makes the folder's entries durable.
Result<> sync_folder(const Folder& folder);
/// Not an error when it is there.
Result<> make_folder(const Folder& parent, const std::string& name);

/// not_found when there is no such file.
Result<std::string> read_small_file(const Folder& folder, const std::string& name);
/// Old or new content after a crash, never a mixture; durable on return.
Result<> replace_small_file(const Folder& folder, const std::string& name,
                            std::string_view content);
Result<> write_all(int fd, std::string_view content, std::string_view path);
/// Removes a file or a folder with everything in it; not an error when it is not there.
Result<> remove_tree(const Folder& parent, const std::string& name);

}  // namespace ukai
