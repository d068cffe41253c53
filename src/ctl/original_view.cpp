// SPDX-License-Identifier: BSD-2-Clause
#include "ctl/original_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace ukai::ctl {
namespace {

/// The disk's locations in the order of its members; a location's place is its index.
std::vector<std::string> location_index(const pb::DiskRecord& record,
                                        const std::vector<MapRow>& rows) {
  std::vector<std::string> index;
  for (const pb::Member& member : record.members()) index.push_back(member.node());
  auto used = [&](const std::string& node) {
    for (const MapRow& row : rows) {
      for (const Replicas& replicas : row.cycle) {
        for (const Replica& replica : replicas) {
          if (replica.node == node) return true;
        }
      }
    }
    return false;
  };
  std::erase_if(index, [&](const std::string& node) { return !used(node); });
  return index;
}

/// " 0:Y     2:N": a location that the block does not have leaves three blanks.
std::string block_text(const std::vector<std::string>& index, const Replicas& replicas) {
  std::string text;
  for (std::size_t i = 0; i < index.size(); ++i) {
    const auto replica = std::find_if(replicas.begin(), replicas.end(),
                                      [&](const Replica& r) { return r.node == index[i]; });
    if (replica == replicas.end()) {
      text += "    ";
    } else {
      text += fmt::format(" {}:{}", i, replica->status == 'Y' ? 'Y' : 'N');
    }
  }
  return text;
}

/// Names need no escapes: parse_disk_name() and parse_id() leave only plain characters.
std::string block_json(const Replicas& replicas) {
  std::string text = "{";
  for (const Replica& replica : replicas) {
    if (text.size() > 1) text += ", ";
    const int status = replica.status == 'Y' ? 0 : replica.status == 'S' ? 1 : 2;
    text += fmt::format(R"("{}": {{"sync_status": {}}})", replica.node, status);
  }
  return text + "}";
}

/// Calls `write(block, its text)` for each block; each replica set is put into words once a row.
template <class Words, class Write>
void for_each_block(const std::vector<MapRow>& rows, const Words& words, const Write& write) {
  for (const MapRow& row : rows) {
    std::vector<std::string> texts;
    for (const Replicas& replicas : row.cycle) texts.push_back(words(replicas));
    for (std::uint64_t i = 0; i < row.blocks.count(); ++i) {
      write(raw(row.blocks.begin) + i, texts[i % texts.size()]);
    }
  }
}

}  // namespace

void write_image_info(std::ostream& out, const pb::DiskRecord& record,
                      const std::vector<MapRow>& rows) {
  const std::vector<std::string> index = location_index(record, rows);
  out << "#\n# Disk Metadata\n#\n"
      << "name=" << record.name() << "\nsize=" << record.size()
      << "\nblock_size=" << record.block_size() << "\n#\n# Location Index\n#\n";
  for (std::size_t i = 0; i < index.size(); ++i) out << i << '=' << index[i] << '\n';
  out << "#\n# Block Information\n#\n"
      << "# block_index: location_index:sync_status\n"
      << "#   sync_status: 'Y' = In-sync, 'N' = Out-of-sync\n#\n";
  for_each_block(
      rows, [&](const Replicas& replicas) { return block_text(index, replicas); },
      [&](std::uint64_t block, const std::string& text) {
        out << fmt::format("{:08} :", block) << text << '\n';
      });
}

void write_image_metadata(std::ostream& out, const pb::DiskRecord& record,
                          const std::vector<MapRow>& rows) {
  out << fmt::format(
      R"({{"name": "{}", "size": {}, "used_size": {}, "block_size": {}, "blocks": [)",
      record.name(), record.size(), record.size(), record.block_size());
  for_each_block(rows, block_json, [&](std::uint64_t block, const std::string& text) {
    out << (block == 0 ? "" : ", ") << text;
  });
  out << "]}\n";
}

}  // namespace ukai::ctl
