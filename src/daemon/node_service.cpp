// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/node_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <fstream>

#include "base/async.h"
#include "base/config.h"
#include "base/log.h"
#include "base/unix_time.h"
#include "base/version.h"
#include "daemon/process.h"
#include "daemon/trash_collector.h"
#include "rpc/io_handlers.h"
#include "rpc/local_node_link.h"
#include "rpc/node_control_service.h"
#include "rpc/peer_links.h"
#include "store/file_block_store.h"

namespace ukai {
namespace {

Result<std::string> read_boot_id(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{Code::invalid, fmt::format("cannot read the boot id from {}", path)};
  std::string id;
  file >> id;
  if (id.empty() || id.size() > limits::boot_id_bytes_max) {
    return Error{Code::invalid, fmt::format("{} does not hold a boot id", path)};
  }
  return id;
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

NodeServiceOptions read_node_options(ConfigReader& config) {
  NodeServiceOptions options;
  options.id = config.string("node.id");
  if (auto id = parse_id(options.id, "node"); !id) config.reject("node.id", id.error().what);
  options.data_root = config.string("node.data_root");
  options.labels = config.strings("node.labels", options.labels);
  options.reserve_bytes = config.size("node.reserve", options.reserve_bytes);
  ConfigReader::Limits files;
  files.min = 16;
  files.max = 1'000'000;
  options.open_files_max = static_cast<std::size_t>(
      config.integer("node.open_files", files, static_cast<std::int64_t>(options.open_files_max)));
  options.scrub_rate_bytes_per_s = config.size("node.scrub_rate", options.scrub_rate_bytes_per_s);
  options.boot_id_file = config.string("node.boot_id_file", options.boot_id_file);
  return options;
}

struct NodeService::Impl {
  Impl(NodeServiceOptions node_options, Surroundings around,
       std::unique_ptr<BlockStore> block_store, StorageNodeOptions storage)
      : options(std::move(node_options)),
        catalog(around.catalog),
        scheduler(around.scheduler),
        id(options.id),
        store(std::move(block_store)),
        changed(std::make_shared<Notifier>(scheduler)),
        scrub_ends(std::make_shared<Notifier>(scheduler)) {
    alive.set_boot_id(storage.boot_id);
    alive.set_incarnation(storage.incarnation);
    alive.set_since_unix_s(unix_now_s());
    alive.set_version(std::string(version_string));
    // shared_ptr: std::function copies what it holds.
    auto peers = std::make_shared<PeerLinks>(around.transport, scheduler);
    storage.peers = [peers](const pb::PullRequest& request) {
      return peers->find(
          {request.source_node(), request.source_data_address(), request.source_control_address()});
    };
    storage.background = &around.background;
    node = std::make_unique<StorageNode>(*store, scheduler, std::move(storage));
    pool = std::make_unique<WorkerPool>(limits::node_workers_default);
    handler = std::make_unique<NodeIoHandler>(*node, *pool, around.background);
    trash = std::make_unique<TrashCollector>(id, catalog, scheduler, *node, *pool);
    link = std::make_shared<LocalNodeLink>(*node, *pool, scheduler);
  }

  Task<void> measure();
  Task<Result<>> register_now();
  Task<void> keep_registered();
  Task<void> refresh();
  Task<void> scrub();
  void stop();

  const NodeServiceOptions options;
  Catalog& catalog;
  Scheduler& scheduler;
  const NodeId id;
  std::unique_ptr<BlockStore> store;
  std::unique_ptr<StorageNode> node;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<NodeIoHandler> handler;
  std::unique_ptr<TrashCollector> trash;
  std::shared_ptr<NodeLink> link;

  // By register_at(), then by keep_registered() alone.
  pb::NodeRecord record;
  pb::NodeAlive alive;  ///< as last written
  std::int64_t registered_session = 0;

  std::atomic<bool> stopping = false;
  // Shared with watch callbacks, which may end after their watch.
  const std::shared_ptr<Notifier> changed;
  const std::shared_ptr<Notifier> scrub_ends;
  std::unique_ptr<Coordination::Watch> session_watch;
  TaskScope scope;
};

Result<std::unique_ptr<NodeService>> NodeService::open(NodeServiceOptions options,
                                                       Surroundings surroundings) {
  auto boot_id = read_boot_id(options.boot_id_file);
  if (!boot_id) return boot_id.error();
  FileStoreOptions folder;
  folder.root = options.data_root;
  folder.node_id = NodeId(options.id);
  folder.cluster_id = surroundings.cluster_id;
  folder.reserve_bytes = options.reserve_bytes;
  folder.open_files_max = options.open_files_max;
  auto store = open_file_store(folder);
  if (!store) return store.error();
  StorageNodeOptions storage;
  storage.id = NodeId(options.id);
  storage.cluster_id = surroundings.cluster_id;
  storage.boot_id = *boot_id;
  storage.incarnation = random_incarnation();
  return std::unique_ptr<NodeService>(new NodeService(std::make_unique<Impl>(
      std::move(options), surroundings, std::move(*store), std::move(storage))));
}

NodeService::NodeService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

NodeService::~NodeService() { impl_->stop(); }

IoHandler& NodeService::io_handler() { return *impl_->handler; }

std::shared_ptr<grpc::Service> NodeService::control_service() {
  return make_node_control_service(*impl_->node, impl_->options.id);
}

std::shared_ptr<NodeLink> NodeService::local_link() { return impl_->link; }

StorageNode& NodeService::node() { return *impl_->node; }

Task<Result<>> NodeService::register_at(ServiceAddresses addresses) {
  Impl& impl = *impl_;
  // 1. What others are to know.
  impl.record.set_id(impl.options.id);
  impl.record.set_data_address(addresses.data);
  impl.record.set_control_address(addresses.control);
  impl.record.set_site(impl.options.site);
  for (const std::string& label : impl.options.labels) impl.record.add_labels(label);
  impl.record.set_store_id(impl.store->store_id());
  if (auto space = impl.store->space(); space.ok()) {
    impl.record.set_capacity_bytes(space->capacity_bytes);
    impl.alive.set_free_bytes(space->free_bytes);
  }

  // 2. The first registration tells whether the id is ours at all.
  auto registered = co_await impl.register_now();
  if (!registered) co_return registered;

  // 3. From now on by itself.
  Coordination& coordination = impl.catalog.coordination();
  impl.session_watch =
      coordination.on_session([changed = impl.changed](SessionState) { changed->notify(); });
  impl.scope.spawn(impl.keep_registered());
  impl.scope.spawn(impl.trash->run());
  if (impl.options.scrub_rate_bytes_per_s > 0) impl.scope.spawn(impl.scrub());
  co_return Unit{};
}

Task<void> NodeService::Impl::measure() {
  auto health = co_await link->health();
  if (!health) co_return;
  alive.set_free_bytes(health->free_bytes());
  alive.set_used_bytes(health->used_bytes());
}

Task<Result<>> NodeService::Impl::register_now() {
  // Read before: when it changes meanwhile, we register once more.
  const std::int64_t session = catalog.coordination().session_id();
  record.set_registered_unix_s(unix_now_s());
  auto registered = co_await catalog.register_node(record, alive);
  if (registered.ok()) registered_session = session;
  co_return registered;
}

Task<void> NodeService::Impl::keep_registered() {
  // What the block files take is found by a look at each of them: seconds, when there are many and
  // nothing is cached. Nobody waits for that.
  co_await refresh();
  while (!stopping) {
    const std::uint64_t ticket = changed->ticket();
    Coordination& coordination = catalog.coordination();
    const bool connected = coordination.session_state() == SessionState::connected;
    Duration pause = limits::node_refresh_interval;
    if (connected && coordination.session_id() != registered_session) {
      auto registered = co_await register_now();
      if (registered) {
        log::info("event=registered_again node={}", id.str());
      } else {
        log::warn("event=not_registered node={} reason=\"{}\"", id.str(), registered.error().what);
        pause = limits::registry_retry;
      }
    }
    const bool woken = co_await changed->wait(ticket, scheduler.now() + pause);
    if (!woken && !stopping) co_await refresh();
  }
}

Task<void> NodeService::Impl::refresh() {
  const std::uint64_t free_before = alive.free_bytes();
  const std::uint64_t used_before = alive.used_bytes();
  co_await measure();
  if (distance(alive.free_bytes(), free_before) < limits::node_space_step_bytes &&
      distance(alive.used_bytes(), used_before) < limits::node_space_step_bytes) {
    alive.set_free_bytes(free_before);
    alive.set_used_bytes(used_before);
    co_return;
  }
  auto refreshed = co_await catalog.refresh_node_alive(id, alive);
  // stale: somebody removed our mark, or it belongs to an ended session; made anew in the next
  // round.
  if (refreshed.failed_with(Code::stale)) registered_session = 0;
}

/// At the rate that the operator allows, on the threads that may wait for the device.
Task<void> NodeService::Impl::scrub() {
  while (!stopping) {
    const std::uint64_t ticket = scrub_ends->ticket();
    OneShot<std::uint64_t> stepped;
    pool->post([this, stepped] { stepped.resolve(node->scrub_step()); });
    const std::uint64_t bytes = co_await stepped;
    const std::chrono::duration<double> due(static_cast<double>(bytes) /
                                            static_cast<double>(options.scrub_rate_bytes_per_s));
    const Duration pause =
        bytes == 0 ? Duration(limits::scrub_pause) : std::chrono::duration_cast<Duration>(due);
    if (stopping) co_return;
    co_await scrub_ends->wait(ticket, scheduler.now() + pause);
  }
}

void NodeService::Impl::stop() {
  stopping = true;
  session_watch.reset();
  changed->notify();
  trash->stop();
  scrub_ends->notify();
  sync_wait(scope.close());
  link.reset();
  trash.reset();
  pool.reset();
}

}  // namespace ukai
