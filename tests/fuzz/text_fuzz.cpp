// SPDX-License-Identifier: BSD-2-Clause
//
// What people write: configuration files, the metadata's address, and the values of ukaictl's
// arguments. Whatever it is, it is understood or refused with one line.
#include <cstdint>
#include <string>

#include "base/config.h"
#include "check.h"
#include "ctl/create_plan.h"
#include "ctl/map_rows.h"
#include "ctl/settings.h"
#include "metadata/metadata_address.h"

namespace ukai::fuzz {
namespace {

template <class T>
bool refused(const Result<T>& result) {
  if (result.ok()) return false;
  check(result.error().code == Code::invalid, "what is written wrong is invalid");
  check_line(result.error().what);
  return true;
}

void try_config(const std::string& text) {
  auto config = ConfigReader::parse(text, "ukaid.toml");
  if (refused(config)) return;
  ConfigReader::Limits limits;
  limits.min = 0;
  limits.max = 9;
  config->string("a", "");
  config->boolean("b", false);
  config->integer("c", limits, 0);
  config->size("d", 0);
  config->duration("e", Duration{});
  config->strings("f", std::vector<std::string>());
  config->choice("g", {"x", "y"}, std::string("x"));
  config->octal("h", 0);
  config->has_section("i");
  config->string("i.j");
  refused(config->finish());
}

void try_values(const std::string& text) {
  if (auto size = parse_size(text); !refused(size)) {
    check(*parse_size(std::to_string(*size)) == *size, "a size in bytes is itself");
  }
  if (auto blocks = ctl::parse_blocks(text, 100); !refused(blocks)) {
    check(blocks->begin < blocks->end && raw(blocks->end) <= 100, "blocks are the disk's");
  }
  if (auto address = parse_metadata_address(text); !refused(address)) {
    auto again = parse_metadata_address(address->to_string());
    check(again.ok() && again->to_string() == address->to_string(), "an address stays itself");
  }
  if (auto id = DiskId::parse(text); !refused(id))
    check(id->to_string() == text, "an id is itself");
  if (auto name = parse_disk_name(text); !refused(name)) check(name->str() == text, "so is a name");
  refused(parse_id(text, "host"));
  refused(parse_duration(text));
  refused(ctl::parse_timeout(text));
  refused(ctl::parse_meta({text}));
  refused(ctl::split_list({text}, "--allow"));
}

void try_create(const std::string& text) {
  ctl::DiskCreateOptions options;
  options.name = "vm";
  options.size = text.substr(0, text.find(' '));
  options.block_size = text.size() % 2 == 0 ? "" : "4M";
  options.locations = {text.substr(std::min(text.size(), text.find(' ')))};
  options.stripe = text.size() % 3 == 0;
  auto plan = ctl::plan_create(options, 4 << 20);
  if (refused(plan)) return;
  const Geometry geometry{plan->record.size(), plan->record.block_size()};
  for (const auto& segment : plan->segments) {
    check(check_segment(segment, geometry).ok(), "a new disk has a sound map");
  }
}

}  // namespace
}  // namespace ukai::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ukai::fuzz::try_config(text);
  ukai::fuzz::try_values(text);
  ukai::fuzz::try_create(text);
  return 0;
}
