// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/host_daemon.h"

#include <optional>

#include "base/asio_scheduler.h"
#include "base/log.h"
#include "base/unix_time.h"
#include "base/version.h"
#include "daemon/host_registration.h"
#include "daemon/state_folder.h"
#include "disk/host_disks.h"
#include "fuse/fuse_session.h"
#include "fuse/mount_point.h"
#include "rpc/channels.h"
#include "rpc/control_server.h"
#include "rpc/data_server.h"
#include "rpc/grpc_host_peers.h"
#include "rpc/host_control_service.h"
#include "rpc/io_handlers.h"
#include "rpc/registry_directory.h"

namespace ukai {
namespace {
// Longer than a node's failure holds requests up; guests wait meanwhile.
constexpr std::chrono::milliseconds drain_patience = std::chrono::seconds(5);
}  // namespace

/// In the order in which they are made; they go the other way round, after stop().
struct HostDaemon::Impl {
  std::optional<StateFolder> state;
  AsioScheduler scheduler{limits::scheduler_threads};
  AsioScheduler background{limits::background_threads, limits::background_niceness};
  Transport transport;
  std::unique_ptr<Coordination> coordination;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<NodeService> node;  ///< null: this host stores no data
  std::unique_ptr<RegistryDirectory> directory;
  std::unique_ptr<GrpcHostPeers> peers;
  std::unique_ptr<HostDisks> disks;
  std::unique_ptr<HostIoHandler> disk_handler;
  std::unique_ptr<RoutingIoHandler> handler;
  std::unique_ptr<ControlServer> control_server;
  std::unique_ptr<DataServer> data_server;
  std::unique_ptr<HostRegistration> registration;
  std::unique_ptr<FuseSession> session;
  ServiceAddresses addresses;

  Result<> start(const HostConfig& config, std::function<void()> unmounted, MountSource* source);
  Result<> show(const HostConfig& config, std::function<void()> unmounted,
                std::optional<Inherited> inherited, MountSource* source);
  Result<> find_cluster(const HostConfig& config);
  Result<> make_disks(const HostConfig& config);
  Result<> serve(const HostConfig& config);
  Result<> register_all(const HostConfig& config);
  void stop();

  std::string cluster_id;
};

Result<> HostDaemon::Impl::start(const HostConfig& config, std::function<void()> unmounted,
                                 MountSource* source) {
  // 1. What takes time, while guests need not wait for it yet; then they do.
  std::optional<Inherited> inherited;
  if (source != nullptr) {
    if (auto found = find_cluster(config); !found) return found;
    auto taken = source->take();
    if (!taken) return taken.error();
    inherited = std::move(*taken);
  }

  // 2. What is wrong on this machine is known before anybody else is asked.
  auto folder = StateFolder::open(config.state_dir);
  if (!folder) return folder.error();
  state.emplace(std::move(*folder));
  if (source == nullptr) {
    auto fit = fuse::prepare_mount_point(config.fuse.mount_point, config.fuse.allow_nonempty);
    if (!fit) return fit.error();
    if (auto found = find_cluster(config); !found) return found;
  }

  // 3. From the metadata to the disks; whoever finds us in the registry can reach us.
  for (const auto step : {&Impl::make_disks, &Impl::serve, &Impl::register_all}) {
    if (auto done = (this->*step)(config); !done) return done;
  }

  // 4. Nobody sees a disk before everything else works.
  if (auto shown = show(config, std::move(unmounted), std::move(inherited), source); !shown) {
    return shown;
  }
  disks->run_jobs();
  return Unit{};
}

Result<> HostDaemon::Impl::show(const HostConfig& config, std::function<void()> unmounted,
                                std::optional<Inherited> inherited, MountSource* source) {
  auto made = inherited
                  ? FuseSession::adopt(config.fuse, *disks, transport.data, std::move(*inherited),
                                       std::move(unmounted))
                  : FuseSession::mount(config.fuse, *disks, transport.data, std::move(unmounted));
  if (!made) return made.error();
  session = std::move(*made);
  if (source == nullptr) return Unit{};
  if (auto kept = source->keep(); !kept) return kept;
  return session->begin();
}

Result<> HostDaemon::Impl::find_cluster(const HostConfig& config) {
  auto connected = make_zookeeper_coordination(config.metadata, scheduler);
  if (!connected) return connected.error();
  coordination = std::move(*connected);
  catalog = std::make_unique<Catalog>(*coordination, scheduler);
  catalog->set_author(config.id);
  auto cluster = sync_wait(catalog->ensure_layout());
  if (!cluster) return cluster.error();
  cluster_id = *cluster;
  return Unit{};
}

Result<> HostDaemon::Impl::make_disks(const HostConfig& config) {
  LocalNode local;
  if (config.node) {
    auto opened =
        NodeService::open(*config.node, {cluster_id, *catalog, scheduler, background, transport});
    if (!opened) return opened.error();
    node = std::move(*opened);
    local.id = NodeId(config.node->id);
    local.link = node->local_link();
  }
  directory = std::make_unique<RegistryDirectory>(*catalog, scheduler, transport, std::move(local));
  if (auto started = sync_wait(directory->start()); !started) return started;
  peers = std::make_unique<GrpcHostPeers>(transport, scheduler);
  DiskOptions options = config.disk;
  options.cluster_id = cluster_id;
  disks = make_host_disks({*catalog, *directory, scheduler, *peers}, std::move(options));
  return Unit{};
}

Result<> HostDaemon::Impl::serve(const HostConfig& config) {
  disk_handler = std::make_unique<HostIoHandler>(*disks);
  handler =
      std::make_unique<RoutingIoHandler>(node ? &node->io_handler() : nullptr, disk_handler.get());
  DataServerOptions data;
  data.listen = config.listen.data;
  data.identities = {host_identity(config.id)};
  std::vector<std::shared_ptr<grpc::Service>> services{
      make_host_control_service(*disks, config.id)};
  if (node) {
    data.identities.push_back(node_identity(config.node->id));
    services.push_back(node->control_service());
  }
  auto data_started = DataServer::start(std::move(data), *handler);
  if (!data_started) return data_started.error();
  data_server = std::move(*data_started);
  auto control_started = ControlServer::start(config.listen.control, std::move(services));
  if (!control_started) return control_started.error();
  control_server = std::move(*control_started);
  addresses.data = config.listen.published(config.listen.data, data_server->port());
  addresses.control = config.listen.published(config.listen.control, control_server->port());
  return Unit{};
}

Result<> HostDaemon::Impl::register_all(const HostConfig& config) {
  pb::HostRecord record;
  record.set_id(config.id);
  record.set_control_address(addresses.control);
  record.set_data_address(addresses.data);
  record.set_site(config.site);
  record.set_mount_point(config.fuse.mount_point);
  record.set_since_unix_s(unix_now_s());
  record.set_version(std::string(version_string));
  if (config.node) record.set_node_id(config.node->id);
  registration = std::make_unique<HostRegistration>(*catalog, scheduler, *state, std::move(record));
  if (auto registered = sync_wait(registration->start()); !registered) return registered;
  if (!node) return Unit{};
  return sync_wait(node->register_at(addresses));
}

/// What must happen in an order of its own before the members go.
void HostDaemon::Impl::stop() {
  if (session) session->unmount();
  registration.reset();
  // Makes durable, gives the leases back, and ends the requests in flight.
  if (disks) sync_wait(disks->shut_down());
}

Result<std::unique_ptr<HostDaemon>> HostDaemon::start(const HostConfig& config,
                                                      std::function<void()> unmounted,
                                                      MountSource* source) {
  auto daemon = std::unique_ptr<HostDaemon>(new HostDaemon(std::make_unique<Impl>()));
  auto started = daemon->impl_->start(config, std::move(unmounted), source);
  if (!started) return started.error();
  return daemon;
}

HostDaemon::HostDaemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HostDaemon::~HostDaemon() { impl_->stop(); }

Result<Inherited> HostDaemon::give_up_mount() {
  // Leases could not be given back.
  if (impl_->coordination->session_state() != SessionState::connected) {
    return Error{Code::unreachable, "the running ukaid has lost its metadata servers"};
  }
  return impl_->session->hand_over(drain_patience);
}

const std::string& HostDaemon::mount_point() const { return impl_->session->mount_point(); }

const ServiceAddresses& HostDaemon::addresses() const { return impl_->addresses; }

}  // namespace ukai
