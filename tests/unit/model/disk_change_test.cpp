// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/disk_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ukai/limits.h"

namespace ukai {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t block_bytes = 4ULL << 20;

pb::DiskRecord example() {
  pb::DiskRecord record;
  record.set_id("00112233445566778899aabbccddeeff");
  record.set_name("vm");
  record.set_size(10 * block_bytes);
  record.set_block_size(block_bytes);
  record.set_epoch(7);
  record.add_members()->set_node("n1");
  record.add_allowed_hosts("h1");
  (*record.mutable_meta())["owner"] = "me";
  return record;
}

pb::ChangeDiskRequest resize(std::uint64_t size_bytes) {
  pb::ChangeDiskRequest request;
  request.set_resize(size_bytes);
  return request;
}

pb::ChangeDiskRequest rename(std::string name) {
  pb::ChangeDiskRequest request;
  request.set_rename(std::move(name));
  return request;
}

pb::ChangeDiskRequest hosts(std::vector<std::string> allow, std::vector<std::string> deny) {
  pb::ChangeDiskRequest request;
  for (auto& host : allow) request.mutable_hosts()->add_allow(std::move(host));
  for (auto& host : deny) request.mutable_hosts()->add_deny(std::move(host));
  return request;
}

pb::ChangeDiskRequest set_meta(std::string key, std::string value) {
  pb::ChangeDiskRequest request;
  (*request.mutable_meta()->mutable_set())[std::move(key)] = std::move(value);
  return request;
}

pb::DiskRecord after(const pb::ChangeDiskRequest& request, pb::DiskRecord record = example()) {
  auto changed = apply_change(std::move(record), request);
  EXPECT_TRUE(changed.ok()) << changed.error().what;
  return *changed;
}

std::string refusal(const pb::ChangeDiskRequest& request, Code code,
                    pb::DiskRecord record = example()) {
  const auto changed = apply_change(std::move(record), request);
  EXPECT_TRUE(changed.failed_with(code));
  return changed.ok() ? "" : changed.error().what;
}

TEST(Resize, grows_the_size_and_touches_nothing_else) {
  pb::DiskRecord expected = example();
  expected.set_size(11 * block_bytes);
  EXPECT_EQ(after(resize(11 * block_bytes)).SerializeAsString(), expected.SerializeAsString());
}

TEST(Resize, to_the_present_size_changes_nothing_and_is_no_error) {
  EXPECT_EQ(after(resize(10 * block_bytes)).SerializeAsString(), example().SerializeAsString());
}

TEST(Resize, never_shrinks) {
  EXPECT_THAT(refusal(resize(9 * block_bytes), Code::refused), HasSubstr("would lose data"));
}

TEST(Resize, refuses_sizes_that_no_disk_can_have) {
  EXPECT_THAT(refusal(resize(0), Code::invalid), HasSubstr("size is 0"));
  EXPECT_THAT(refusal(resize(10 * block_bytes + 1), Code::invalid), HasSubstr("46137344"));
  refusal(resize(limits::disk_size_bytes_max + block_bytes), Code::invalid);
}

TEST(Resize, of_a_damaged_record_without_block_size_is_refused_and_does_not_divide_by_it) {
  pb::DiskRecord damaged = example();
  damaged.clear_block_size();
  EXPECT_THAT(refusal(resize(block_bytes), Code::invalid, damaged), HasSubstr("block size 0"));
}

TEST(Rename, takes_what_a_new_disk_may_be_called) {
  EXPECT_EQ(after(rename("vm-2")).name(), "vm-2");
  EXPECT_EQ(after(rename("vm")).name(), "vm");
  refusal(rename(""), Code::invalid);
  refusal(rename("../vm"), Code::invalid);
}

TEST(Hosts, are_kept_sorted_and_once_each) {
  EXPECT_THAT(after(hosts({"h3", "h2", "h3", "h1"}, {})).allowed_hosts(),
              ElementsAre("h1", "h2", "h3"));
}

TEST(Hosts, that_are_denied_go_and_denying_a_stranger_is_no_error) {
  EXPECT_THAT(after(hosts({}, {"h1", "h9"})).allowed_hosts(), IsEmpty());
  EXPECT_THAT(after(hosts({"h2", "h3"}, {"h3"})).allowed_hosts(), ElementsAre("h1", "h2"));
}

TEST(Hosts, must_have_a_proper_id_to_be_allowed) {
  EXPECT_THAT(refusal(hosts({"h/2"}, {}), Code::invalid), HasSubstr("host name"));
}

TEST(Meta, is_set_replaced_and_removed_by_key) {
  EXPECT_EQ(after(set_meta("owner", "you")).meta().at("owner"), "you");
  EXPECT_EQ(after(set_meta("tier", "gold")).meta_size(), 2);
  pb::ChangeDiskRequest request;
  request.mutable_meta()->add_unset("owner");
  request.mutable_meta()->add_unset("never there");
  EXPECT_EQ(after(request).meta_size(), 0);
}

TEST(Meta, is_bounded_in_the_size_and_the_number_of_its_entries) {
  after(set_meta(std::string(1024, 'k'), std::string(1024, 'v')));
  refusal(set_meta(std::string(1025, 'k'), "v"), Code::invalid);
  refusal(set_meta("k", std::string(1025, 'v')), Code::invalid);
  refusal(set_meta("", "v"), Code::invalid);
  pb::ChangeDiskRequest request;
  for (int i = 0; i < 63; ++i) (*request.mutable_meta()->mutable_set())[std::to_string(i)] = "v";
  const pb::DiskRecord full = after(request);
  EXPECT_EQ(full.meta_size(), 64);
  EXPECT_THAT(refusal(set_meta("one more", "v"), Code::invalid, full), HasSubstr("at most 64"));
  EXPECT_EQ(after(set_meta("owner", "you"), full).meta_size(), 64);
}

TEST(Changes, of_a_kind_that_this_version_does_not_know_are_refused) {
  EXPECT_THAT(refusal(pb::ChangeDiskRequest(), Code::invalid), HasSubstr("no change"));
}

}  // namespace
}  // namespace ukai
