// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/node_daemon.h"

#include "base/asio_scheduler.h"
#include "rpc/channels.h"
#include "rpc/control_server.h"
#include "rpc/data_server.h"

namespace ukai {

Result<NodeConfig> load_node_config(const std::string& path) {
  auto config = ConfigReader::load(path);
  if (!config) return config.error();
  NodeConfig out;
  out.node = read_node_options(*config);
  out.node.site = config->string("node.site", std::string());
  out.listen = read_listen_options(*config, "node");
  out.metadata = read_metadata_options(*config);
  out.log = read_log_options(*config);
  if (auto good = config->finish(); !good) return good.error();
  return out;
}

/// In the order in which they are made; they go the other way round.
struct NodeDaemon::Impl {
  AsioScheduler scheduler{limits::scheduler_threads};
  AsioScheduler background{limits::background_threads, limits::background_niceness};
  Transport transport;
  std::unique_ptr<Coordination> coordination;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<NodeService> service;
  std::unique_ptr<ControlServer> control_server;
  std::unique_ptr<DataServer> data_server;
  ServiceAddresses addresses;

  Result<> start(const NodeConfig& config);
  Result<> serve(const NodeConfig& config);
};

Result<> NodeDaemon::Impl::start(const NodeConfig& config) {
  // 1. A folder is not formatted for a daemon that cannot serve; the metadata say which cluster
  //    this is.
  for (const std::string& address : {config.listen.data, config.listen.control}) {
    if (auto listens = check_listen(address); !listens) return listens;
  }
  auto connected = make_zookeeper_coordination(config.metadata, scheduler);
  if (!connected) return connected.error();
  coordination = std::move(*connected);
  catalog = std::make_unique<Catalog>(*coordination, scheduler);
  auto cluster = sync_wait(catalog->ensure_layout());
  if (!cluster) return cluster.error();

  // 2. The folder must be of this node and this cluster.
  auto opened =
      NodeService::open(config.node, {*cluster, *catalog, scheduler, background, transport});
  if (!opened) return opened.error();
  service = std::move(*opened);

  // 3. Whoever finds the node in the registry can reach it.
  if (auto serving = serve(config); !serving) return serving;
  return sync_wait(service->register_at(addresses));
}

Result<> NodeDaemon::Impl::serve(const NodeConfig& config) {
  DataServerOptions data;
  data.listen = config.listen.data;
  data.identities = {node_identity(config.node.id)};
  auto data_started = DataServer::start(std::move(data), service->io_handler());
  if (!data_started) return data_started.error();
  data_server = std::move(*data_started);
  auto control_started = ControlServer::start(config.listen.control, {service->control_service()});
  if (!control_started) return control_started.error();
  control_server = std::move(*control_started);
  addresses.data = config.listen.published(config.listen.data, data_server->port());
  addresses.control = config.listen.published(config.listen.control, control_server->port());
  return {};
}

Result<std::unique_ptr<NodeDaemon>> NodeDaemon::start(const NodeConfig& config) {
  auto impl = std::make_unique<Impl>();
  if (auto started = impl->start(config); !started) return started.error();
  return std::unique_ptr<NodeDaemon>(new NodeDaemon(std::move(impl)));
}

NodeDaemon::NodeDaemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

NodeDaemon::~NodeDaemon() = default;

const ServiceAddresses& NodeDaemon::addresses() const { return impl_->addresses; }

}  // namespace ukai
