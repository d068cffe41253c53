// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "ctl/commands.h"
#include "ctl/lay_out.h"
#include "ctl/table.h"

namespace ukai::ctl {
namespace {

Result<std::string> read_file(const std::string& file) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in && !in.eof()) {
    return Error{Code::not_found, fmt::format("cannot read {}", one_line(file))};
  }
  return text;
}

}  // namespace

Result<> metadata_load(Context& context, const DumpOptions& options) {
  // 1. The file alone.
  auto text = read_file(options.file);
  if (!text) return text.error();
  auto dump = parse_dump(*text);
  if (!dump) return dump.error();
  auto counts = check_dump(*dump);
  if (!counts) return counts.error();
  auto distrusted = distrust(*dump);
  if (!distrusted) return distrusted.error();

  // 2. Where it goes to.
  auto connected = context.connect(true);
  if (!connected) return connected.error();
  auto written = lay_out(context, std::move(dump->records));
  if (!written) return written.error();
  pb::EventRecord event;
  event.set_what("metadata_loaded");
  event.set_text(
      fmt::format("{} and {}", count_of(counts->disks, "disk"), count_of(counts->nodes, "node")));
  auto told = context.ask(context.catalog().add_event(event));
  if (!told) return told.error();
  context.print(context.json() ? load_json(*counts) : event.text() + " are loaded\n");
  return {};
}

}  // namespace ukai::ctl
