// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <set>
#include <sstream>

#include "ctl/arguments.h"
#include "unit/ctl/source_folder.h"

namespace ukai::ctl {
namespace {

struct Finished {
  int status = -1;
  std::string output;
};

Finished shell(const std::string& command) {
  Finished finished;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return finished;
  std::array<char, 4096> buffer{};
  for (std::size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    finished.output.append(buffer.data(), n);
  }
  finished.status = pclose(pipe);
  return finished;
}

std::string completion(const std::string& arguments) {
  const auto here = source_folder() / "tests/unit/ctl";
  const auto script = source_folder() / "tools/completion/ukaictl.bash";
  return "bash '" + (here / "completion_test.sh").string() + "' '" + script.string() + "' " +
         arguments;
}

TEST(Completion, completes_commands_options_and_names) {
  const Finished finished = shell(completion(""));
  EXPECT_EQ(finished.status, 0) << finished.output;
  EXPECT_EQ(finished.output, "");
}

TEST(Completion, knows_exactly_the_commands_there_are) {
  const Finished finished = shell(completion("--commands"));
  ASSERT_EQ(finished.status, 0) << finished.output;
  std::istringstream lines(finished.output);
  std::set<std::string> completed;
  for (std::string line; std::getline(lines, line);) completed.insert(line);
  const auto names = command_names();
  EXPECT_EQ(completed, std::set<std::string>(names.begin(), names.end()));
}

}  // namespace
}  // namespace ukai::ctl
