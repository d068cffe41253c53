// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/host_registration.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/asio_scheduler.h"
#include "harness/temp_folder.h"
#include "metadata/memory_coordination.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

class Registration : public ::testing::Test {
 protected:
  /// One ukaid of host h1 as far as its registration goes.
  struct Daemon {
    Daemon(Registration& test, const std::string& folder, std::string address)
        : coordination(test.tree_, test.scheduler_, short_lived()),
          catalog(coordination, test.scheduler_),
          state(StateFolder::open(folder)) {
      EXPECT_TRUE(sync_wait(catalog.ensure_layout()).ok());
      pb::HostRecord record;
      record.set_id("h1");
      record.set_control_address(std::move(address));
      registration.emplace(catalog, test.scheduler_, *state, std::move(record));
    }
    static MemoryOptions short_lived() {
      MemoryOptions options;
      options.session_timeout = 100ms;
      return options;
    }

    MemoryCoordination coordination;
    Catalog catalog;
    Result<StateFolder> state;
    std::optional<HostRegistration> registration;
  };

  /// The address under which h1 is found; empty: it is not.
  std::string address_of(Daemon& daemon) {
    auto host = sync_wait(daemon.catalog.host(HostId("h1")));
    return host.ok() ? host->control_address() : "";
  }

  AsioScheduler scheduler_{2};
  MemoryZooKeeper tree_;
  const test::TempFolder place_;
  const std::string folder_ = place_.path();
};

TEST_F(Registration, makes_the_host_known_and_unknown_again) {
  Daemon watcher(*this, folder_ + "/w", "nowhere");
  {
    Daemon daemon(*this, folder_ + "/a", "here:1");
    ASSERT_TRUE(sync_wait(daemon.registration->start()).ok());
    EXPECT_EQ(address_of(watcher), "here:1");
  }
  EXPECT_EQ(address_of(watcher), "");
}

TEST_F(Registration, comes_back_after_a_lost_session) {
  Daemon daemon(*this, folder_ + "/a", "here:1");
  ASSERT_TRUE(sync_wait(daemon.registration->start()).ok());
  daemon.coordination.expire_session();
  for (int i = 0; i < 500 && address_of(daemon).empty(); ++i) std::this_thread::sleep_for(5ms);
  EXPECT_EQ(address_of(daemon), "here:1");
}

TEST_F(Registration, refuses_an_id_that_another_machine_uses) {
  Daemon first(*this, folder_ + "/a", "here:1");
  ASSERT_TRUE(sync_wait(first.registration->start()).ok());
  Daemon second(*this, folder_ + "/b", "there:1");
  const auto refused = sync_wait(second.registration->start());
  ASSERT_TRUE(refused.failed_with(Code::busy));
  EXPECT_EQ(refused.error().what, "another host \"h1\" is running at here:1");
  EXPECT_EQ(address_of(second), "here:1");
}

TEST_F(Registration, replaces_the_mark_of_a_killed_predecessor_at_once) {
  // The predecessor's session lives on at the server, as after SIGKILL; its lock does not.
  Daemon killed(*this, folder_ + "/a", "here:1");
  ASSERT_TRUE(sync_wait(killed.registration->start()).ok());
  killed.registration.reset();
  { StateFolder unlocked = std::move(*killed.state); }
  Daemon successor(*this, folder_ + "/a", "here:2");
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(sync_wait(successor.registration->start()).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 100ms) << "it waited for the old session";
  EXPECT_EQ(address_of(successor), "here:2");
}

}  // namespace
}  // namespace ukai
