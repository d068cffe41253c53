// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rpc/io_handler.h"
#include "rpc/transport.h"
#include "ukai/catalog.h"
#include "ukai/limits.h"
#include "ukai/node_link.h"
#include "ukai/storage_node.h"

namespace grpc {
class Service;
}

namespace ukai {

class ConfigReader;

struct NodeServiceOptions {
  std::string id;
  std::string data_root;
  std::string site;
  std::vector<std::string> labels;
  std::uint64_t reserve_bytes = limits::reserve_bytes_default;
  std::size_t open_files_max = limits::open_files_default;
  std::uint64_t scrub_rate_bytes_per_s = limits::scrub_rate_default;  ///< 0: no scrub
  std::string boot_id_file = "/proc/sys/kernel/random/boot_id";
};

/// The keys of [node] that both daemons know: all of the above but the site.
NodeServiceOptions read_node_options(ConfigReader& config);

/// Where a node's servers listen, as others reach them.
struct ServiceAddresses {
  std::string data;
  std::string control;
};

/// A storage node with all that it needs besides servers: the store in its folder, its place in the
/// registry, and the orders to delete that come from there. ukainode runs one; so does a ukaid
/// whose host stores data.
///
/// Order: open(), start the servers over io_handler() and control_service(), register_at(); destroy
/// the servers before the service.
/// Threads: open and destroy on one that may block, and is none of the scheduler's. Everything
/// passed in outlives the service.
class NodeService {
 public:
  struct Surroundings {
    std::string cluster_id;
    Catalog& catalog;
    Scheduler& scheduler;
    Scheduler& background;  ///< for copies; outlives the transport, too
    Transport& transport;
  };

  /// Errors are one clear line: what is wrong with the folder, or with the boot id's file.
  static Result<std::unique_ptr<NodeService>> open(NodeServiceOptions options,
                                                   Surroundings surroundings);
  /// Ends what it does for the registry; the alive mark goes with the coordination session.
  ~NodeService();

  /// Registers the node, again after each loss of the coordination session, and follows the orders
  /// to delete. refused: the id belongs to another data folder. Once.
  Task<Result<>> register_at(ServiceAddresses addresses);

  IoHandler& io_handler();
  std::shared_ptr<grpc::Service> control_service();
  /// The link for the disks of this process; it must not outlive the service.
  std::shared_ptr<NodeLink> local_link();
  StorageNode& node();

 private:
  struct Impl;
  explicit NodeService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ukai
