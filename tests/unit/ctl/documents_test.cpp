// SPDX-License-Identifier: BSD-2-Clause
//
// Keeps docs/ukaictl-json.md true: each example there has the shape of what ukaictl prints.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "unit/ctl/ctl_fixture.h"
#include "unit/ctl/source_folder.h"

namespace ukai::ctl {
namespace {

using Json = nlohmann::json;

/// The examples of the documentation, by kind.
std::map<std::string, Json> documented() {
  std::ifstream file(source_folder() / "docs/ukaictl-json.md");
  EXPECT_TRUE(file.good());
  std::map<std::string, Json> examples;
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```json") {
      inside = true;
      text.clear();
    } else if (line == "```" && inside) {
      inside = false;
      Json json = Json::parse(text, nullptr, false);
      EXPECT_FALSE(json.is_discarded()) << text;
      examples[json.value("kind", "")] = json;
    } else if (inside) {
      text += line + "\n";
    }
  }
  return examples;
}

/// Same keys at every level, same types but for null; the elements of a list are like its first.
void expect_alike(const Json& example, const Json& real, const std::string& where) {
  if (example.is_null() || real.is_null()) return;
  ASSERT_STREQ(example.type_name(), real.type_name()) << where;
  if (example.is_array() && !example.empty()) {
    for (const Json& element : real) expect_alike(example[0], element, where + "[]");
  }
  if (!example.is_object() || example.empty()) return;
  if (where.ends_with(".meta")) return;  // keys of the operator's own
  for (const auto& [key, value] : example.items()) {
    ASSERT_TRUE(real.contains(key)) << where << '.' << key << " is documented only";
    expect_alike(value, real[key], where + "." + key);
  }
  for (const auto& [key, value] : real.items()) {
    EXPECT_TRUE(example.contains(key)) << where << '.' << key << " is not documented";
  }
}

class Documents : public CtlTest {
 protected:
  Documents() {
    add_node("n1");
    add_node("n2");
    add_down_node("n3");
    add_node("n4");
    add_host("h1");
    calls_.on_dirty_list = [](const std::string&, const pb::DirtyListRequest&) {
      pb::DirtyListReply reply;
      reply.add_blocks()->set_end(1);
      return Result<pb::DirtyListReply>(reply);
    };
    calls_.on_host_status = [](const std::string&) {
      pb::HostStatusReply reply;
      pb::NodeLinkStatus* link = reply.add_nodes();
      link->set_node("n1");
      link->set_connected(true);
      link->set_latency_us(210);
      reply.add_errors()->set_what("deadline");
      return Result<pb::HostStatusReply>(reply);
    };
    calls_.on_disk_status = [](const std::string&, const pb::DiskStatusRequest& request) {
      pb::DiskStatusReply reply;
      pb::DiskStatusInfo* info = reply.add_disks();
      info->set_disk_id(request.disk_ids(0));
      pb::RangeCount* range = info->add_ranges();
      range->set_reads(7);
      info->set_range_blocks(1);
      (*info->mutable_counters()->mutable_read_sizes())[8] = 7;
      (*info->mutable_counters()->mutable_write_sizes())[1] = 2;
      return Result<pb::DiskStatusReply>(reply);
    };
    calls_.on_held = [](const std::string&, const pb::HeldRequest& request) {
      pb::HeldReply reply;
      for (int i = 0; i < 2 && request.list() == pb::HeldRequest::DISKS; ++i) {
        pb::HeldDisk* disk = reply.add_disks();
        disk->set_disk_id(i == 0 ? "0f3c9b5d6a7e4f10b2c4d6e8f0a1b3c5" : "7d");
        disk->set_size(i == 0 ? 8U << 20 : 1);  // of the second one nothing can be made
        disk->set_block_size(4U << 20);
        disk->add_members("n1");
        disk->add_members("n3");
      }
      return Result<pb::HeldReply>(reply);
    };
    calls_.verify_progress.resize(1);
    calls_.verify_progress[0].set_finished(true);
    calls_.scrub_progress.resize(1);
    calls_.scrub_progress[0].set_finished(true);
    run_jobs([](pb::JobRecord& job) {
      job.set_state(pb::JobRecord::DONE);
      job.set_replicas_done(3);
    });
  }

  /// Runs the command and compares each document it prints; a document may be a line.
  void check(const std::string& args) {
    const std::string out = done("-o json " + args);
    Json whole = Json::parse(out, nullptr, false);
    if (!whole.is_discarded()) return check_one(whole, args);
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      Json json = Json::parse(line, nullptr, false);
      ASSERT_FALSE(json.is_discarded()) << args << '\n' << out;
      check_one(json, args);
    }
  }

  void check_one(const Json& json, const std::string& args) {
    EXPECT_EQ(json.value("schema", 0), 1) << args;
    const std::string kind = json.value("kind", "");
    // Four commands share one shape, which is documented once.
    const bool change = kind == "disk_rename" || kind == "disk_hosts" || kind == "disk_set";
    std::string example = change ? "disk_resize" : kind;
    // Those that follow jobs share two, and those that show one another.
    for (const char* follows : {"replicate", "relocate", "drain", "job"}) {
      if (kind == follows) example = "sync";
      if (kind == std::string(follows) + "_progress") example = "sync_progress";
    }
    if (kind == "location_remove") example = "location_add";
    if (kind == "job_started") example = "job_info";
    ASSERT_TRUE(examples_.contains(example)) << args << ": " << kind << " is not documented";
    checked_.insert(example);
    expect_alike(examples_.at(example), json, kind);
  }

  static std::string file() {
    return ::testing::TempDir() + "ukai-documents-" + std::to_string(getpid());
  }

  const std::map<std::string, Json> examples_ = documented();
  std::set<std::string> checked_;
};

TEST_F(Documents, are_what_the_documentation_says) {
  check("version");
  check("disk create vm-1 --size 8M --location n1,n2 --meta os=debian");
  check("disk list");
  check("disk info vm-1");
  lose_members("vm-1", {"n2"});
  for (const char* args :
       {"disk rename vm-1 vm-2", "disk rename vm-2 vm-1", "disk hosts vm-1 --allow h1",
        "disk hosts vm-1", "add_hypervisor vm-1 h1", "disk set vm-1 --meta a=b",
        "disk resize vm-1 16M", "disk resize vm-1 16M", "lease show vm-1"}) {
    check(args);
  }
  hold("vm-1", "h1");
  for (const char* args : {"disk list",
                           "disk info vm-1",
                           "disk map vm-1",
                           "stat vm-1",
                           "disk stats vm-1",
                           "get_statistics vm-1",
                           "disk verify vm-1",
                           "scrub vm-1",
                           "sync vm-1",
                           "synchronize vm-1",
                           "sync vm-1 --plan",
                           "replicate vm-1 --to n4 --plan",
                           "replicate vm-1 --to n4 --detach",
                           "replicate vm-1 --to n1",
                           "relocate vm-1 --from n1 --to n4",
                           "node drain n1 --to n4 --plan",
                           "job list --all",
                           "location add vm-1 n2",
                           "ls",
                           "node list",
                           "node info n1",
                           "node info n3",
                           "host list",
                           "topology",
                           "advise vm-1",
                           "lease show vm-1",
                           "status",
                           "events",
                           "errors",
                           "get_error_state",
                           "diag",
                           "lease release vm-1 --force",
                           "disk delete vm-1",
                           "disk delete vm-1 --if-exists"}) {
    check(args);
  }
  done("disk create vm-1 --size 8M --location n1");
  done("sync vm-1 --detach");
  for (const char* args : {"job wait ", "job info "}) check(args + jobs("vm-1").back().id());
  done("disk delete vm-1");
  done("disk create vm-1 --size 8M --location n3,n2 --force");
  lose_members("vm-1", {"n2"});
  calls_.on_dirty_list = nullptr;  // n3 is silent
  check("disk recover vm-1 --from n2 --accept-loss");
  done("disk create vm-2 --size 8M --location n3 --force");
  check("node remove n3 --lost --accept-loss");
  done("metadata dump " + file());
  EXPECT_TRUE(clear_tree().ok());
  check("metadata load " + file());
  std::remove(file().c_str());
  EXPECT_TRUE(clear_tree().ok());
  check("metadata rebuild --cluster 0f3c9b5d6a7e4f10b2c4d6e8f0a1b3c5");
  add_node("n1");
  check("metadata rebuild");
  EXPECT_EQ(checked_.size(), examples_.size()) << "some example is printed by no command";
}

TEST_F(Documents, of_a_failure_do_not_exist) {
  fails("-o json disk info vm-1", 3, "there is no disk named 'vm-1'");
}

TEST_F(Documents, of_a_verification_that_found_differences_are_printed) {
  done("disk create vm-1 --size 8M --location n1,n2");
  pb::Difference* difference = calls_.verify_progress[0].add_differences();
  difference->set_block(1);
  difference->add_nodes("n2");
  const Outcome outcome = run("-o json disk verify vm-1");
  EXPECT_EQ(outcome.status, 1);
  const Json json = Json::parse(outcome.out);
  expect_alike(examples_.at("disk_verify"), json, "disk_verify");
  EXPECT_EQ(json["differences"][0]["block"], 1);
}

}  // namespace
}  // namespace ukai::ctl
