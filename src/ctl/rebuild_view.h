// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "ctl/rebuild_plan.h"

/// What could be made of what the nodes hold, as text and JSON; no I/O.
namespace ukai::ctl {

/// A disk that nodes hold and that nothing can be made of.
struct Hopeless {
  std::string disk_id;
  std::string reason;
};

struct Rebuild {
  std::vector<Proposal> disks;
  std::vector<Hopeless> hopeless;
  bool applied = false;
};

std::string rebuild_text(const Rebuild& rebuild);
std::string rebuild_json(const Rebuild& rebuild);

}  // namespace ukai::ctl
