// SPDX-License-Identifier: BSD-2-Clause
//
// Who did what: one znode an event, in the transaction of the change that it tells of.
#include <algorithm>
#include <utility>

#include "base/unix_time.h"
#include "metadata/catalog_io.h"
#include "metadata/catalog_paths.h"
#include "ukai/catalog.h"
#include "ukai/limits.h"

namespace ukai {

namespace {

constexpr std::size_t reads_at_once = 250;
constexpr std::size_t removals_at_once = 500;

std::string event_prefix() { return events_path() + "/e-"; }

Task<Result<EventEntry>> event_line(Coordination& coordination, std::string key) {
  auto event = co_await load_record<pb::EventRecord>(coordination, events_path() + "/" + key);
  EventEntry entry;
  entry.key = std::move(key);
  if (event.ok()) {
    entry.record = std::move(event->record);
  } else if (event.failed_with(Code::corrupt)) {
    entry.record.set_what("damaged");
    entry.record.set_text(event.error().what);
  } else {
    co_return event.error();
  }
  co_return entry;
}

}  // namespace

pb::EventRecord Catalog::signed_event(pb::EventRecord event) const {
  if (event.who().empty()) event.set_who(author_);
  event.set_unix_s(unix_now_s());
  return event;
}

Task<Result<>> Catalog::commit_told(std::vector<Op> ops, Probe probe,
                                    std::vector<pb::EventRecord> events) {
  const bool told = !author_.empty() && !events.empty();
  if (!told) co_return co_await commit_once(coordination_, scheduler_, std::move(ops), probe);
  const std::vector<Op> change = ops;
  for (pb::EventRecord& event : events) {
    ops.push_back(Op::create_sequential(event_prefix(), encode_record(signed_event(event))));
  }
  auto done = co_await commit_once(coordination_, scheduler_, std::move(ops), probe);
  if (done.failed_with(Code::not_found) && done.error().what.starts_with(event_prefix())) {
    // A tree that an older version laid out. What the change is for does not wait for the folder.
    auto made = co_await ensure_folder(coordination_, scheduler_, events_path());
    if (!made) co_return made;
    co_return co_await commit_once(coordination_, scheduler_, change, probe);
  }
  if (done.ok() && events_told_.fetch_add(1) % limits::events_trim_every == 0) {
    co_await trim_events();
  }
  co_return done;
}

/// What fails is done by the next one who comes here.
Task<void> Catalog::trim_events() {
  auto keys = co_await coordination_.children(events_path());
  if (!keys || keys->size() <= limits::events_max) co_return;
  std::sort(keys->begin(), keys->end());
  const std::size_t surplus = std::min(keys->size() - limits::events_max, removals_at_once);
  std::vector<Op> ops;
  for (std::size_t i = 0; i < surplus; ++i) {
    ops.push_back(Op::remove(events_path() + "/" + (*keys)[i]));
  }
  auto removed = co_await coordination_.commit(std::move(ops));
  if (!removed) co_return;
}

Task<Result<>> Catalog::add_event(pb::EventRecord event) {
  if (author_.empty()) co_return Unit{};
  std::vector<Op> ops{Op::create_sequential(event_prefix(), encode_record(signed_event(event)))};
  // A lost answer leaves one event too few or one too many: not worth a read-back.
  auto done = co_await coordination_.commit(std::move(ops));
  if (done.ok() && events_told_.fetch_add(1) % limits::events_trim_every == 0) {
    co_await trim_events();
  }
  co_return done;
}

Task<Result<std::vector<EventEntry>>> Catalog::events(std::size_t newest_max) {
  auto keys = co_await coordination_.children(events_path());
  std::vector<EventEntry> out;
  if (keys.failed_with(Code::not_found)) co_return out;  // an older version laid out this tree
  if (!keys) co_return keys.error();
  std::sort(keys->begin(), keys->end(), std::greater<>());
  keys->resize(std::min(keys->size(), newest_max));
  for (std::size_t at = 0; at < keys->size(); at += reads_at_once) {
    std::vector<Task<Result<EventEntry>>> tasks;
    for (std::size_t i = at; i < std::min(at + reads_at_once, keys->size()); ++i) {
      tasks.push_back(event_line(coordination_, (*keys)[i]));
    }
    auto lines = co_await gather(std::move(tasks));
    for (auto& line : lines) {
      if (line.failed_with(Code::not_found)) continue;  // trimmed meanwhile
      if (!line) co_return line.error();
      out.push_back(std::move(*line));
    }
  }
  co_return out;
}

}  // namespace ukai
