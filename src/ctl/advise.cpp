// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/advice.h"
#include "ctl/commands.h"
#include "ctl/heat_source.h"
#include "ctl/lookup.h"
#include "ctl/missed.h"

namespace ukai::ctl {

Result<> advise_disk(Context& context, const DiskOptions& options) {
  auto entry = load_disk(context, options.name);
  if (!entry) return entry.error();
  auto nodes = load_nodes(context);
  if (!nodes) return nodes.error();
  const BlockRange all = all_blocks(entry->record);
  auto segments = load_map(context, entry->record, all);
  if (!segments) return segments.error();
  auto missed = load_missed(context, entry->record, *nodes);
  if (!missed) return missed.error();
  auto heats = ask_heats(context, entry->record.id());
  if (!heats) return heats.error();
  auto hosts = ask_hosts(context);
  if (!hosts) return hosts.error();
  DiskFacts facts;
  facts.name = entry->record.name();
  facts.blocks = all.count();
  facts.block_size_bytes = entry->record.block_size();
  facts.rows = map_rows(*segments, *missed, all);
  facts.heats = std::move(*heats);
  facts.nodes = std::move(*nodes);
  facts.hosts = std::move(*hosts);
  const auto advices = advise(facts);
  context.print(context.json() ? advice_json(facts, advices) : advice_text(facts, advices));
  return {};
}

}  // namespace ukai::ctl
