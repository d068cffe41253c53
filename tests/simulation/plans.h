// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "simulation/run.h"

/// The scenarios, by what they are about.
namespace ukai::sim::plans {

inline constexpr Plan two_replicas{.nodes = 2};
inline constexpr Plan three_replicas{.nodes = 3};
inline constexpr Plan stripes{.nodes = 3, .stripe = true, .replicas = 2};
inline constexpr Plan single_replica{.nodes = 1, .replicas = 1};
inline constexpr Plan growing{
    .nodes = 3, .stripe = true, .replicas = 2, .rounds = 6, .grows = true};
inline constexpr Plan two_hosts{.nodes = 2, .hosts = 2};
inline constexpr Plan migrations{.nodes = 2, .hosts = 2, .migrates = true};
inline constexpr Plan readers{.nodes = 2, .hosts = 2, .readers = true};
inline constexpr Plan power{.nodes = 2, .power = true};
inline constexpr Plan single_power{.nodes = 1, .replicas = 1, .power = true};
inline constexpr Plan bad_disks{.nodes = 2, .bad_disks = true};
inline constexpr Plan moves{.nodes = 3, .hosts = 2, .replicas = 2, .moves = true};
inline constexpr Plan snapshots{.nodes = 2, .hosts = 2, .snapshots = true};
inline constexpr Plan snapshots_and_power{
    .nodes = 3, .stripe = true, .replicas = 2, .power = true, .snapshots = true};
inline constexpr Plan snapshots_and_moves{
    .nodes = 3, .replicas = 2, .moves = true, .snapshots = true};
inline constexpr Plan snapshots_and_growth{
    .nodes = 3, .stripe = true, .replicas = 2, .rounds = 6, .grows = true, .snapshots = true};
inline constexpr Plan damages{.nodes = 2, .damages = true};
inline constexpr Plan bad_metadata{.nodes = 2, .hosts = 2, .bad_metadata = true};
inline constexpr Plan slow_healing{.nodes = 2, .rounds = 4, .heal_rate_bytes_per_s = 8U << 10};

}  // namespace ukai::sim::plans
