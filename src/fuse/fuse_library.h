// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The one way libfuse is included: the API version has to be the same everywhere.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
