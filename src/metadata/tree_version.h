// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/coordination.h"
#include "ukai/result.h"
#include "ukai/task.h"

namespace ukai {

/// refused: a later UKAI has made this tree one that only such as itself may touch. Whatever else
/// is wrong with the cluster's record is told by whoever needs it.
Task<Result<>> check_tree_version(Coordination& coordination);

}  // namespace ukai
