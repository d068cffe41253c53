// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>

namespace ukai::ctl {

/// The source tree's top: tests compare what is built with docs and tools there. The compiler's
/// idea of this file's name may be relative to the build folder (ccache), and the program may run
/// anywhere: so upwards from the program, then from this file.
inline std::filesystem::path source_folder() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const fs::path& start : {fs::read_symlink("/proc/self/exe", ignored), fs::path(__FILE__)}) {
    for (fs::path at = fs::absolute(start).parent_path(); at != at.root_path();
         at = at.parent_path()) {
      if (fs::exists(at / "docs/ukaictl-json.md")) return at;
    }
  }
  return {};
}

}  // namespace ukai::ctl
