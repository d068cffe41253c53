// SPDX-License-Identifier: BSD-2-Clause
#include "node/session_record.h"

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
  return SessionRecord{Epoch{*epoch}, Session{*session}, Generation{*generation},
                       *boot_id,      *crashed != 0,     *flush_failed != 0};
}

std::string SessionRecord::encode() const {
  TextRecord record("session", session_format);
  record.add("epoch", raw(epoch))
      .add("session", raw(session))
      .add("generation", raw(generation))
      .add("boot_id", boot_id)
      .add("crashed", crashed ? 1 : 0)
      .add("flush_failed", flush_failed ? 1 : 0);
  return record.encode();
}

}  // namespace ukai
