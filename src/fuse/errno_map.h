// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/result.h"

namespace ukai {

/// The errno (positive) that a guest or tool sees for `code`: the one place of this translation.
int errno_of(Code code);

}  // namespace ukai
