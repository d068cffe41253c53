// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/site_path.h"

#include <algorithm>

namespace ukai {
namespace {

std::string_view take_component(std::string_view& site) {
  const auto end = std::min(site.find('/'), site.size());
  const std::string_view first = site.substr(0, end);
  site.remove_prefix(std::min(end + 1, site.size()));
  return first;
}

}  // namespace

std::vector<std::string_view> site_components(std::string_view site) {
  std::vector<std::string_view> out;
  while (!site.empty()) out.push_back(take_component(site));
  return out;
}

int common_site_depth(std::string_view a, std::string_view b) {
  int depth = 0;
  while (!a.empty() && !b.empty() && take_component(a) == take_component(b)) ++depth;
  return depth;
}

bool lies_in(std::string_view site, std::string_view area) {
  const auto whole = site_components(area).size();
  return static_cast<std::size_t>(common_site_depth(site, area)) == whole;
}

}  // namespace ukai
