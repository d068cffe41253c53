// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>

#include "ukai/storage_node.h"

namespace grpc {
class Service;
}

namespace ukai {

/// NodeControl over `node`, whose id is `node_id`, for a ControlServer. A pull or a hash whose
/// caller goes continues without him. shared_ptr: gRPC's type stays out of headers.
std::shared_ptr<grpc::Service> make_node_control_service(StorageNode& node,
                                                         const std::string& node_id);

}  // namespace ukai
