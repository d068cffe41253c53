// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>

#include "ukai/host_disks.h"

namespace grpc {
class Service;
}

namespace ukai {

/// HostControl over `disks` of host `host_id`, for a ControlServer. A call whose caller goes
/// continues without him, so `disks` outlives what it has begun. shared_ptr: gRPC's type stays out
/// of headers.
std::shared_ptr<grpc::Service> make_host_control_service(HostDisks& disks,
                                                         const std::string& host_id);

}  // namespace ukai
