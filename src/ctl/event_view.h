// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ukai/catalog.h"

/// Events as text and as a JSON document (docs/ukaictl-json.md); no I/O.
namespace ukai::ctl {

std::string events_table(const std::vector<EventEntry>& events);
std::string events_json(const std::vector<EventEntry>& events);

}  // namespace ukai::ctl
