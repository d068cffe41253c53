// SPDX-License-Identifier: BSD-2-Clause
//
// What every Coordination promises, asked of both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "worlds.h"

namespace ukai::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

struct Backend {
  const char* name;
  std::unique_ptr<World> (*make)();
};

class CoordinationContract : public testing::TestWithParam<Backend> {
 protected:
  Result<Znode> get(const std::string& path) { return sync_wait(tree().get(path)); }
  Result<std::vector<std::string>> children(const std::string& path) {
    return sync_wait(tree().children(path));
  }
  Result<> commit(std::vector<Op> ops) { return sync_wait(tree().commit(std::move(ops))); }
  std::string data(const std::string& path) {
    auto znode = get(path);
    return znode ? znode->data : "(" + znode.error().what + ")";
  }
  Coordination& tree() { return client->coordination(); }
  bool gone(Coordination& seen_by, const std::string& path) {
    return sync_wait(seen_by.get(path)).failed_with(Code::not_found);
  }

  std::unique_ptr<World> world = GetParam().make();
  std::unique_ptr<TestClient> client = world->connect();
};

INSTANTIATE_TEST_SUITE_P(Backends, CoordinationContract,
                         testing::Values(Backend{"memory", &make_memory_world},
                                         Backend{"zookeeper", &make_zookeeper_world}),
                         [](const auto& backend) { return std::string(backend.param.name); });

// -- data

TEST_P(CoordinationContract, reads_back_what_was_created) {
  const std::string binary("a\0b", 3);
  ASSERT_TRUE(commit({Op::create("/a", binary), Op::create("/a/b", "")}).ok());
  auto znode = get("/a");
  ASSERT_TRUE(znode.ok()) << znode.error().what;
  EXPECT_EQ(znode->data, binary);
  EXPECT_EQ(znode->stat.version, 0);
  EXPECT_EQ(znode->stat.children, 1);
  EXPECT_EQ(znode->stat.ephemeral_owner, 0);
  EXPECT_GT(znode->stat.created_zxid, 0);
  EXPECT_EQ(data("/a/b"), "");
}

TEST_P(CoordinationContract, lists_children_and_nothing_deeper) {
  ASSERT_TRUE(commit({Op::create("/a", ""), Op::create("/a/x", ""), Op::create("/a/y", ""),
                      Op::create("/a/x/deep", ""), Op::create("/ab", "")})
                  .ok());
  EXPECT_THAT(*children("/a"), UnorderedElementsAre("x", "y"));
  EXPECT_THAT(*children("/a/y"), ElementsAre());
  EXPECT_THAT(*children("/"), UnorderedElementsAre("a", "ab"));
}

TEST_P(CoordinationContract, says_not_found_for_missing_paths_and_parents) {
  EXPECT_TRUE(get("/none").failed_with(Code::not_found));
  EXPECT_THAT(get("/none").error().what, HasSubstr("/none"));
  EXPECT_TRUE(children("/none").failed_with(Code::not_found));
  EXPECT_TRUE(commit({Op::create("/none/below", "")}).failed_with(Code::not_found));
  EXPECT_TRUE(commit({Op::set("/none", "", any_version)}).failed_with(Code::not_found));
  EXPECT_TRUE(commit({Op::remove("/none")}).failed_with(Code::not_found));
  EXPECT_TRUE(commit({Op::check("/none", any_version)}).failed_with(Code::not_found));
}

TEST_P(CoordinationContract, compares_versions_before_it_changes) {
  ASSERT_TRUE(commit({Op::create("/a", "0")}).ok());
  EXPECT_TRUE(commit({Op::set("/a", "1", 0)}).ok());
  EXPECT_TRUE(commit({Op::set("/a", "2", 0)}).failed_with(Code::stale));
  EXPECT_TRUE(commit({Op::check("/a", 0)}).failed_with(Code::stale));
  EXPECT_TRUE(commit({Op::remove("/a", 0)}).failed_with(Code::stale));
  EXPECT_EQ(data("/a"), "1");
  EXPECT_TRUE(commit({Op::check("/a", 1), Op::set("/a", "2", any_version)}).ok());
  EXPECT_EQ(get("/a")->stat.version, 2);
  EXPECT_TRUE(commit({Op::remove("/a", 2)}).ok());
  EXPECT_TRUE(get("/a").failed_with(Code::not_found));
}

TEST_P(CoordinationContract, refuses_to_create_twice_and_to_remove_what_has_children) {
  ASSERT_TRUE(commit({Op::create("/a", ""), Op::create("/a/b", "")}).ok());
  EXPECT_TRUE(commit({Op::create("/a", "")}).failed_with(Code::exists));
  EXPECT_TRUE(commit({Op::remove("/a")}).failed_with(Code::busy));
}

TEST_P(CoordinationContract, applies_all_steps_or_none_and_names_the_first_that_failed) {
  ASSERT_TRUE(commit({Op::create("/a", "old")}).ok());
  auto done = commit({Op::set("/a", "new", 0), Op::create("/b", ""), Op::check("/missing", 3),
                      Op::create("/a", "")});
  ASSERT_TRUE(done.failed_with(Code::not_found));
  EXPECT_THAT(done.error().what, HasSubstr("/missing "));
  EXPECT_EQ(data("/a"), "old");
  EXPECT_EQ(get("/a")->stat.version, 0);
  EXPECT_TRUE(get("/b").failed_with(Code::not_found));
}

TEST_P(CoordinationContract, sees_earlier_steps_within_a_transaction) {
  EXPECT_TRUE(commit({Op::create("/a", ""), Op::create("/a/b", "x"), Op::set("/a/b", "y", 0),
                      Op::remove("/a/b", 1), Op::remove("/a")})
                  .ok());
  EXPECT_TRUE(get("/a").failed_with(Code::not_found));
}

TEST_P(CoordinationContract, tells_a_znode_from_a_later_one_with_the_same_path) {
  ASSERT_TRUE(commit({Op::create("/a", "")}).ok());
  const auto first = get("/a")->stat;
  ASSERT_TRUE(commit({Op::remove("/a")}).ok());
  ASSERT_TRUE(commit({Op::create("/a", "")}).ok());
  EXPECT_EQ(get("/a")->stat.version, first.version);
  EXPECT_GT(get("/a")->stat.created_zxid, first.created_zxid);
}

TEST_P(CoordinationContract, takes_an_empty_transaction_and_a_sync) {
  EXPECT_TRUE(commit({}).ok());
  EXPECT_TRUE(sync_wait(tree().sync()).ok());
}

TEST_P(CoordinationContract, refuses_bad_paths_and_oversized_transactions_with_one_line) {
  for (const char* path : {"", "a", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a\nb"}) {
    EXPECT_TRUE(get(path).failed_with(Code::invalid)) << path;
    EXPECT_TRUE(commit({Op::create(path, "")}).failed_with(Code::invalid)) << path;
  }
  const std::string large(600 << 10, 'x');
  EXPECT_TRUE(commit({Op::create("/a", large)}).failed_with(Code::invalid));
  const std::string half(500 << 10, 'x');
  EXPECT_TRUE(commit({Op::create("/a", half), Op::create("/b", half)}).failed_with(Code::invalid));
  EXPECT_TRUE(commit({Op::create("/a", half)}).ok());
  EXPECT_EQ(data("/a"), half);
  std::vector<Op> many(3000, Op::check("/a", 0));
  EXPECT_TRUE(commit(many).failed_with(Code::invalid));
}

// -- sessions

TEST_P(CoordinationContract, removes_ephemerals_with_the_session_that_made_them) {
  auto other = world->connect();
  ASSERT_TRUE(sync_wait(other->coordination().commit({Op::create_ephemeral("/e", "x")})).ok());
  EXPECT_EQ(get("/e")->stat.ephemeral_owner, other->coordination().session_id());
  EXPECT_NE(other->coordination().session_id(), 0);
  EXPECT_TRUE(commit({Op::create("/e/below", "")}).failed_with(Code::invalid));
  other.reset();
  EXPECT_TRUE(eventually([&] { return gone(tree(), "/e"); }));
}

TEST_P(CoordinationContract, negotiates_the_session_timeout) {
  auto other = world->connect({.session_timeout = 3s});
  ASSERT_TRUE(sync_wait(other->coordination().sync()).ok());
  EXPECT_EQ(other->coordination().session_timeout_ms(), 3000);
  EXPECT_EQ(other->coordination().session_state(), SessionState::connected);
}

TEST_P(CoordinationContract, survives_a_short_loss_of_connection_with_its_session) {
  ASSERT_TRUE(commit({Op::create_ephemeral("/e", "x")}).ok());
  const auto session = tree().session_id();
  std::atomic<int> told{0};
  auto watch = tree().watch("/e", false, [&] { ++told; });
  client->cut();
  EXPECT_TRUE(eventually([&] { return tree().session_state() == SessionState::suspended; }));
  client->heal();
  EXPECT_TRUE(eventually([&] { return tree().session_state() == SessionState::connected; }));
  EXPECT_EQ(tree().session_id(), session);
  EXPECT_EQ(data("/e"), "x");
  EXPECT_TRUE(eventually([&] { return told > 0; }));
}

TEST_P(CoordinationContract, finishes_calls_that_waited_for_the_connection) {
  ASSERT_TRUE(tree().session_state() == SessionState::connected || sync_wait(tree().sync()).ok());
  client->cut();
  ASSERT_TRUE(eventually([&] { return tree().session_state() == SessionState::suspended; }));
  std::atomic<int> finished{0};
  auto count = [&](Result<> done) { finished += done.ok() ? 1 : 100; };
  spawn_into<Result<>>(tree().commit({Op::create("/waited", "")}), count);
  spawn_into<Result<>>(tree().sync(), count);
  EXPECT_EQ(finished, 0);
  client->heal();
  EXPECT_TRUE(eventually([&] { return finished >= 2; }));
  EXPECT_EQ(finished, 2);
  EXPECT_EQ(data("/waited"), "");
}

TEST_P(CoordinationContract, calls_it_unreachable_when_nothing_was_sent_in_time) {
  auto other = world->connect({.request_timeout = 50ms});
  Coordination& cut_off = other->coordination();
  ASSERT_TRUE(eventually([&] { return sync_wait(cut_off.sync()).ok(); }));
  other->cut();
  ASSERT_TRUE(eventually([&] { return cut_off.session_state() == SessionState::suspended; }));
  EXPECT_TRUE(sync_wait(cut_off.get("/")).failed_with(Code::unreachable));
  EXPECT_TRUE(sync_wait(cut_off.commit({Op::create("/never", "")})).failed_with(Code::unreachable));
  other->heal();
  EXPECT_TRUE(eventually([&] { return sync_wait(cut_off.sync()).ok(); }));
  ASSERT_TRUE(sync_wait(tree().sync()).ok());
  EXPECT_TRUE(gone(tree(), "/never"));
}

TEST_P(CoordinationContract, calls_it_unknown_when_the_answer_to_a_change_was_lost) {
  ASSERT_TRUE(sync_wait(tree().sync()).ok());
  auto observer = world->connect();
  client->lose_replies();
  std::atomic<int> code{-1};
  spawn_into<Result<>>(tree().commit({Op::create("/sent", "")}), [&](Result<> done) {
    code = done.ok() ? -2 : static_cast<int>(done.code());
  });
  ASSERT_TRUE(eventually([&] { return !gone(observer->coordination(), "/sent"); }));
  client->cut();
  EXPECT_TRUE(eventually([&] { return code != -1; }));
  EXPECT_EQ(code, static_cast<int>(Code::unknown));
  client->heal();
  EXPECT_EQ(data("/sent"), "");
}

TEST_P(CoordinationContract, begins_a_new_session_by_itself_after_an_expiry) {
  auto mortal = world->connect({.session_timeout = 600ms});
  Coordination& expiring = mortal->coordination();
  ASSERT_TRUE(sync_wait(expiring.commit({Op::create_ephemeral("/e", "1")})).ok());
  const auto former = expiring.session_id();
  std::mutex mutex;
  std::vector<SessionState> states;
  std::atomic<int> told{0};
  auto listener = expiring.on_session([&](SessionState state) {
    std::lock_guard lock(mutex);
    states.push_back(state);
  });
  auto watch = expiring.watch("/e", true, [&] { ++told; });

  mortal->cut();
  ASSERT_TRUE(eventually([&] { return gone(tree(), "/e"); }));
  std::atomic<int> code{-1};
  spawn_into<Result<>>(expiring.commit({Op::create_ephemeral("/e", "stale")}), [&](Result<> done) {
    code = done.ok() ? -2 : static_cast<int>(done.code());
  });
  mortal->heal();
  ASSERT_TRUE(eventually([&] { return code != -1; }));
  EXPECT_EQ(code, static_cast<int>(Code::unreachable)) << "meant under the former session";
  ASSERT_TRUE(eventually([&] { return expiring.session_state() == SessionState::connected; }));
  EXPECT_NE(expiring.session_id(), former);
  EXPECT_TRUE(gone(expiring, "/e"));
  ASSERT_TRUE(sync_wait(expiring.commit({Op::create_ephemeral("/e", "2")})).ok());
  EXPECT_EQ(get("/e")->stat.ephemeral_owner, expiring.session_id());
  {
    std::lock_guard lock(mutex);
    EXPECT_THAT(states, ElementsAre(SessionState::suspended, SessionState::expired,
                                    SessionState::connected));
  }
  const int before = told;
  ASSERT_TRUE(commit({Op::set("/e", "3", 0)}).ok());
  EXPECT_TRUE(eventually([&] { return told > before; })) << "watches outlive the session";
}

TEST_P(CoordinationContract, fails_calls_under_way_when_it_is_destroyed) {
  ASSERT_TRUE(sync_wait(tree().sync()).ok());
  client->cut();
  ASSERT_TRUE(eventually([&] { return tree().session_state() == SessionState::suspended; }));
  std::atomic<int> failed{0};
  spawn_into<Result<Znode>>(tree().get("/"), [&](Result<Znode> znode) {
    failed += znode.failed_with(Code::shut_down) ? 1 : 100;
  });
  spawn_into<Result<>>(tree().commit({Op::create("/a", "")}), [&](Result<> done) {
    failed += done.failed_with(Code::shut_down) ? 1 : 100;
  });
  client.reset();
  EXPECT_TRUE(eventually([&] { return failed >= 2; }));
  EXPECT_EQ(failed, 2);
}

// -- watches

TEST_P(CoordinationContract, tells_of_every_kind_of_change_again_and_again) {
  std::atomic<int> told{0};
  auto other = world->connect();
  Coordination& changer = other->coordination();
  auto watch = tree().watch("/w", false, [&] { ++told; });
  ASSERT_TRUE(sync_wait(tree().sync()).ok());
  const auto expect_told = [&](std::vector<Op> ops, const char* what) {
    const int before = told;
    ASSERT_TRUE(sync_wait(changer.commit(std::move(ops))).ok());
    EXPECT_TRUE(eventually([&] { return told > before; })) << what;
    // Armed again before it told: whatever is read now is watched.
    ASSERT_TRUE(sync_wait(tree().sync()).ok());
  };
  expect_told({Op::create("/w", "1")}, "created");
  expect_told({Op::set("/w", "2", any_version)}, "changed");
  expect_told({Op::set("/w", "3", any_version)}, "changed again");
  expect_told({Op::remove("/w")}, "removed");
  expect_told({Op::create("/w", "4")}, "created again");
}

TEST_P(CoordinationContract, tells_of_children_even_of_a_path_that_comes_later) {
  std::atomic<int> told{0};
  auto other = world->connect();
  Coordination& changer = other->coordination();
  auto watch = tree().watch("/w", true, [&] { ++told; });
  ASSERT_TRUE(sync_wait(tree().sync()).ok());
  for (int round = 0; round < 2; ++round) {
    for (const Op& op : {Op::create("/w", ""), Op::create("/w/a", ""), Op::create("/w/b", ""),
                         Op::remove("/w/a"), Op::remove("/w/b"), Op::remove("/w")}) {
      const int before = told;
      ASSERT_TRUE(sync_wait(changer.commit({op})).ok());
      EXPECT_TRUE(eventually([&] { return told > before; })) << op.path;
      ASSERT_TRUE(sync_wait(tree().sync()).ok());
    }
  }
}

TEST_P(CoordinationContract, never_misses_the_last_of_many_changes) {
  auto other = world->connect();
  Coordination& changer = other->coordination();
  ASSERT_TRUE(commit({Op::create("/w", "0")}).ok());
  std::atomic<int> seen{0};
  std::atomic<int> reads{0};
  auto watch = tree().watch("/w", false, [&] {
    ++reads;
    spawn_into<Result<Znode>>(tree().get("/w"), [&](Result<Znode> znode) {
      const int value = znode ? std::stoi(znode->data) : 0;
      for (int old = seen; old < value && !seen.compare_exchange_weak(old, value);) continue;
      --reads;
    });
  });
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(sync_wait(changer.commit({Op::set("/w", std::to_string(i), any_version)})).ok());
  }
  EXPECT_TRUE(eventually([&] { return seen == 100; }));
  watch.reset();
  EXPECT_TRUE(eventually([&] { return reads == 0; }));
}

TEST_P(CoordinationContract, does_not_call_a_watch_after_its_token_is_gone) {
  ASSERT_TRUE(commit({Op::create("/w", "")}).ok());
  std::atomic<int> first{0};
  std::atomic<int> second{0};
  auto one = tree().watch("/w", false, [&] { ++first; });
  auto two = tree().watch("/w", false, [&] { ++second; });
  ASSERT_TRUE(sync_wait(tree().sync()).ok());
  one.reset();
  const int before = first;
  ASSERT_TRUE(commit({Op::set("/w", "x", any_version)}).ok());
  EXPECT_TRUE(eventually([&] { return second > 0; }));
  EXPECT_EQ(first, before);
  // A token may be destroyed from within its own call, and after its client.
  std::unique_ptr<Coordination::Watch> self;
  std::atomic<bool> destroyed{false};
  self = tree().watch("/w", false, [&] {
    self.reset();
    destroyed = true;
  });
  ASSERT_TRUE(commit({Op::set("/w", "y", any_version)}).ok());
  EXPECT_TRUE(eventually([&] { return destroyed.load(); }));
  client.reset();
  two.reset();
}

// -- numbered names

TEST_P(CoordinationContract, numbers_what_is_created_in_sequence) {
  ASSERT_TRUE(commit({Op::create("/log", "")}).ok());
  ASSERT_TRUE(commit({Op::create_sequential("/log/e-", "a"), Op::create("/b", "")}).ok());
  ASSERT_TRUE(commit({Op::create_sequential("/log/e-", "c")}).ok());
  auto names = children("/log");
  ASSERT_TRUE(names.ok());
  ASSERT_EQ(names->size(), 2U);
  std::sort(names->begin(), names->end());
  EXPECT_EQ(names->front().size(), std::string("e-0000000000").size());
  EXPECT_EQ(data("/log/" + names->front()), "a");
  EXPECT_EQ(data("/log/" + names->back()), "c");
  ASSERT_TRUE(commit({Op::remove("/log/" + names->back())}).ok());
  ASSERT_TRUE(commit({Op::create_sequential("/log/e-", "d")}).ok());
  EXPECT_NE(children("/log")->back(), names->back()) << "a number was used twice";
}

}  // namespace
}  // namespace ukai::test
