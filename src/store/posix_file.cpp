// SPDX-License-Identifier: BSD-2-Clause
#include "store/posix_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

namespace ukai {

Error posix_error(int error_number, std::string_view what) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  std::string text(what);
  text += ": " + std::generic_category().message(error_number);
  return Error{full ? Code::no_space : Code::io, std::move(text)};
}

Result<Folder> open_folder(const Folder& parent, std::string_view name) {
  const std::string text(name);
  UniqueFd fd(retry(
      [&] { return ::openat(parent.fd.get(), text.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.valid()) {
    if (errno == ENOENT) return Error{Code::not_found, parent.path_of(name) + " does not exist"};
    return posix_error(errno, "cannot open folder " + parent.path_of(name));
  }
  return Folder{std::move(fd), parent.path_of(name)};
}

Result<std::vector<std::string>> list_names(const Folder& folder) {
  // A descriptor of its own: the position of a shared one would be shared too.
  const int fd =
      retry([&] { return ::openat(folder.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return posix_error(errno, "cannot list " + folder.path);
  const auto close = [](DIR* dir) { ::closedir(dir); };
  const std::unique_ptr<DIR, decltype(close)> dir(::fdopendir(fd), close);
  if (!dir) {
    const int error_number = errno;
    ::close(fd);
    return posix_error(error_number, "cannot list " + folder.path);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return posix_error(errno, "cannot list " + folder.path);
  std::sort(names.begin(), names.end());
  return names;
}

Result<> sync_folder(const Folder& folder) {
  if (::fsync(folder.fd.get()) != 0) return posix_error(errno, "cannot sync folder " + folder.path);
  return {};
}

Result<> make_folder(const Folder& parent, const std::string& name) {
  if (::mkdirat(parent.fd.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
    return posix_error(errno, "cannot make folder " + parent.path_of(name));
  return {};
}

Result<std::string> read_small_file(const Folder& folder, const std::string& name) {
  const UniqueFd fd(
      retry([&] { return ::openat(folder.fd.get(), name.c_str(), O_RDONLY | O_CLOEXEC); }));
  const std::string path = folder.path_of(name);
  if (!fd.valid()) {
    if (errno == ENOENT) return Error{Code::not_found, path + " does not exist"};
    return posix_error(errno, "cannot open " + path);
  }
  std::string content;
  std::array<char, 64 << 10> piece;
  while (true) {
    const ssize_t got = retry([&] { return ::read(fd.get(), piece.data(), piece.size()); });
    if (got < 0) return posix_error(errno, "cannot read " + path);
    if (got == 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(got));
  }
}

Result<> write_all(int fd, std::string_view content, std::string_view path) {
  while (!content.empty()) {
    const ssize_t put = retry([&] { return ::write(fd, content.data(), content.size()); });
    if (put < 0) return posix_error(errno, "cannot write " + std::string(path));
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<> replace_small_file(const Folder& folder, const std::string& name,
                            std::string_view content) {
  const std::string temporary = name + ".tmp";
  const std::string path = folder.path_of(name);
  const UniqueFd fd(retry([&] {
    return ::openat(folder.fd.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                    0600);
  }));
  if (!fd.valid()) return posix_error(errno, "cannot create " + path);
  auto written = write_all(fd.get(), content, path);
  if (!written.ok()) return written.error();
  if (::fdatasync(fd.get()) != 0) return posix_error(errno, "cannot sync " + path);
  if (::renameat(folder.fd.get(), temporary.c_str(), folder.fd.get(), name.c_str()) != 0)
    return posix_error(errno, "cannot replace " + path);
  return sync_folder(folder);
}

Result<> remove_tree(const Folder& parent, const std::string& name) {
  if (::unlinkat(parent.fd.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  // Linux says EISDIR for a folder; POSIX allows EPERM.
  if (errno != EISDIR && errno != EPERM)
    return posix_error(errno, "cannot remove " + parent.path_of(name));
  {
    auto folder = open_folder(parent, name);
    if (!folder.ok()) return folder.error();
    auto names = list_names(*folder);
    if (!names.ok()) return names.error();
    for (const std::string& child : *names) {
      auto removed = remove_tree(*folder, child);
      if (!removed.ok()) return removed.error();
    }
  }
  if (::unlinkat(parent.fd.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return posix_error(errno, "cannot remove " + parent.path_of(name));
  return {};
}

}  // namespace ukai
