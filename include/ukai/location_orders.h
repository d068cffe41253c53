// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "ukai/catalog.h"
#include "ukai/geometry.h"
#include "ukai/location_change.h"
#include "ukai_host.pb.h"

namespace ukai {

/// What an operator's request to add or remove locations is about; pure.
LocationsWanted wanted_by(const pb::ChangeDiskRequest& request, const Geometry& geometry);

/// Orders to delete what has lost its location under `epoch`; not released.
std::vector<Catalog::Order> delete_orders(const LocationsChanged& changed, Epoch epoch);

/// The event that tells of it.
pb::EventRecord location_event(const pb::ChangeDiskRequest& request, const LocationsWanted& wanted);

}  // namespace ukai
