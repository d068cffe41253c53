// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ctl/json.h"
#include "ctl/lookup.h"

namespace ukai::ctl {

/// The fields that every document about a disk has.
Json summary_json(const DiskSummary& disk);

}  // namespace ukai::ctl
