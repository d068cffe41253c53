// SPDX-License-Identifier: BSD-2-Clause
#include "node/session_record.h"

#include <fmt/format.h>

#include <sstream>

#include "store/text_record.h"

namespace ukai {
namespace {

constexpr std::uint32_t session_format = 1;

}  // namespace

Result<SessionRecord> SessionRecord::decode(std::string_view text, std::string_view path) {
  auto record = TextRecord::decode(text, "session", session_format, path);
  if (!record.ok()) return record.error();
  auto epoch = record->number("epoch");
  auto session = record->number("session");
  auto generation = record->number("generation");
  auto crashed = record->number("crashed");
  auto flush_failed = record->number("flush_failed");
  for (const auto* field : {&epoch, &session, &generation, &crashed, &flush_failed})
    if (!field->ok()) return field->error();
  auto boot_id = record->text("boot_id");
  if (!boot_id.ok()) return boot_id.error();
  SessionRecord out;
  out.epoch = Epoch{*epoch};
  out.session = Session{*session};
  out.generation = Generation{*generation};
  out.boot_id = *boot_id;
  out.crashed = *crashed != 0;
  out.flush_failed = *flush_failed != 0;
  if (auto left = record->number("left"); left.ok()) out.left = *left != 0;
  if (auto name = record->text("name"); name.ok()) out.name = *name;
  if (auto size = record->number("size"); size.ok()) out.size_bytes = *size;
  if (auto members = record->text("members"); members.ok()) {
    std::istringstream words(*members);
    for (std::string word; words >> word;) out.members.push_back(word);
  }
  return out;
}

std::string SessionRecord::encode() const {
  TextRecord record("session", session_format);
  record.add("epoch", raw(epoch))
      .add("session", raw(session))
      .add("generation", raw(generation))
      .add("boot_id", boot_id)
      .add("crashed", crashed ? 1 : 0)
      .add("flush_failed", flush_failed ? 1 : 0);
  if (left) record.add("left", 1);
  if (size_bytes != 0) {
    record.add("name", name).add("size", size_bytes);
    record.add("members", fmt::format("{}", fmt::join(members, " ")));
  }
  return record.encode();
}

}  // namespace ukai
