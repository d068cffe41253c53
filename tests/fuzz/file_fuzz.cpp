// SPDX-License-Identifier: BSD-2-Clause
//
// A node's small files: the session record and all others in text, and the dirty log. With the
// input's first bit set, the rest is given a checksum that is right, to get behind it.
#include <fmt/format.h>
#include <xxhash.h>

#include <cstdint>
#include <string>

#include "check.h"
#include "node/dirty_log.h"
#include "node/packing.h"
#include "node/session_record.h"
#include "store/memory_block_store.h"
#include "store/text_record.h"

namespace ukai::fuzz {
namespace {

void try_text(const std::string& text) {
  auto session = SessionRecord::decode(text, "disk x: session");
  if (session.ok()) {
    auto again = SessionRecord::decode(session->encode(), "disk x: session");
    check(again.ok(), "what was read can be written and read again");
    check(again->encode() == session->encode(), "and is the same");
  } else {
    check_line(session.error().what);
  }
  auto store = TextRecord::decode(text, "store", 1, "ukai-store");
  if (store.ok()) check(store->encode() == text, "decode and encode give the same bytes");
}

void try_log(const std::string& content) {
  std::uint64_t versions = 0;
  std::vector<LogRecord> records;
  auto decoded = dirty_log_format::decode(content, [&](const LogRecord& record) {
    check(record.span.begin < record.span.end, "a span is not empty");
    versions += std::min<std::uint64_t>(raw(record.span.end) - raw(record.span.begin), 1U << 20);
    records.push_back(record);
  });
  if (!decoded.ok()) return check_line(decoded.error().what);
  // The same records in one batch mean the same.
  std::string body;
  for (const LogRecord& record : records) dirty_log_format::append_record(body, record);
  std::vector<LogRecord> again;
  const std::string whole = dirty_log_format::header() + dirty_log_format::batch(1, body);
  auto same = dirty_log_format::decode(whole, [&](const LogRecord& r) { again.push_back(r); });
  check(same.ok() && !same->torn && again == records, "records are written as they are read");
  if (versions >= 1U << 16) return;  // a log as large as that is real, but slow to try

  MemoryBlockStore store;
  const DiskId disk;
  (void)store.open_disk(disk, 64 << 10);
  (void)store.replace_file(disk, "dirty.log", content);
  DirtyLog log(store, disk, "n1");
  auto loaded = log.load();
  if (!loaded.ok()) return check_line(loaded.error().what);
  std::uint64_t active = 0;
  for (const LogSpan& span : log.active()) active += raw(span.end) - raw(span.begin);
  check(active == log.counts().active, "what is counted is what is listed");
}

/// What a peer answers to a read over a slow link.
void try_packed(const std::string& packed, std::size_t length) {
  auto data = unpack(Payload(Bytes::copy_of(packed)), length);
  if (!data.ok()) return check_line(data.error().what);
  check(data->size() == length, "it has the length that was asked for");
}

}  // namespace
}  // namespace ukai::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string text = rest;
  std::string log = rest;
  if ((data[0] & 1) != 0) {
    for (const char* kind : {"session", "store"}) {
      text = fmt::format("UKAI {}\nformat 1\n{}\n", kind, rest);
      text += fmt::format("checksum {:016x}\n", XXH3_64bits(text.data(), text.size()));
      ukai::fuzz::try_text(text);
    }
    log = ukai::dirty_log_format::header() + ukai::dirty_log_format::batch(1, rest);
  }
  ukai::fuzz::try_text(text);
  ukai::fuzz::try_log(log);
  ukai::fuzz::try_packed(rest, (data[0] >> 1) * std::size_t{1024});
  return 0;
}
