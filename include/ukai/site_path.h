// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Sites are paths: "jp/tokyo/dc1" lies in "jp/tokyo", and "jp/tokyo" in "jp". Pure.
namespace ukai {

/// "jp/tokyo" -> {"jp", "tokyo"}; "" -> {}.
std::vector<std::string_view> site_components(std::string_view site);

/// How many leading components two sites share: ("jp/tokyo/dc1", "jp/tokyo/dc2") -> 2.
int common_site_depth(std::string_view a, std::string_view b);

/// Is `site` the area itself, or within it?
bool lies_in(std::string_view site, std::string_view area);

/// Order of a tree walked from its root: what lies in a site follows right after it, whatever
/// letters ('-', '.') are smaller than '/'.
struct SiteOrder {
  bool operator()(std::string_view a, std::string_view b) const {
    return site_components(a) < site_components(b);
  }
  using is_transparent = void;
};

}  // namespace ukai
