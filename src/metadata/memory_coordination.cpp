// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/memory_coordination.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "metadata/callbacks.h"
#include "metadata/memory_request.h"
#include "metadata/memory_tree.h"
#include "metadata/znode_rules.h"

namespace ukai {

using memory::Answer;
using memory::Request;
using memory::RequestPtr;

struct MemoryZooKeeper::Impl {
  /// One mutex for the server and all of its clients: this is for tests.
  mutable std::mutex mutex;
  MemoryTree tree;
  std::int64_t next_session = 1;
  std::vector<MemoryCoordination::Client*> clients;

  void notify_locked(const MemoryTree::Touched& touched);
};

/// Functions named …_locked are called with the server's mutex held.
struct MemoryCoordination::Client : std::enable_shared_from_this<Client> {
  struct WatchEntry {
    std::string path;
    bool children;
    std::shared_ptr<Watcher> watcher;
  };

  Client(std::shared_ptr<MemoryZooKeeper::Impl> its_server, Scheduler& its_scheduler,
         MemoryOptions its_options)
      : server(std::move(its_server)),
        scheduler(its_scheduler),
        options(its_options),
        events(std::make_shared<SerialQueue>(its_scheduler)) {}

  void submit(const RequestPtr& request);
  void start_timer_locked(const RequestPtr& request);
  void execute_locked(const RequestPtr& request);
  Result<Answer> result_locked(const Request& request);
  ChangeFault next_fault_locked(const Request& request);
  void answer_locked(Request& request, Result<Answer> result);
  void timed_out(const RequestPtr& request);
  void run_waiting_locked();

  void set_state_locked(SessionState next);
  void session_ended_locked();
  void open_session_locked();
  void end_session_at_server_locked();
  void suspend_locked();
  void notify_all_locked();
  void catch_up_locked();
  void close();

  const std::shared_ptr<MemoryZooKeeper::Impl> server;
  Scheduler& scheduler;
  const MemoryOptions options;
  const std::shared_ptr<SerialQueue> events;

  // By server->mutex.
  SessionState state = SessionState::connecting;
  std::int64_t session = 0;
  bool session_ended = false;  // at the server; the client hears of it when it is connected
  bool link_up = true;
  bool frozen = false;
  std::optional<MemoryTree> past;  // what a server that lags still answers with
  bool closed = false;
  std::uint64_t suspensions = 0;
  std::deque<RequestPtr> waiting;  // for a connection
  std::deque<RequestPtr> hanging;  // at a frozen server
  std::deque<ChangeFault> faults;
  std::function<ChangeFault(const std::vector<Op>&)> choose_fault;
  std::vector<WatchEntry> watches;
  std::vector<std::shared_ptr<SessionListener>> listeners;
};

// -- the server

MemoryZooKeeper::MemoryZooKeeper() : impl_(std::make_shared<Impl>()) {}
MemoryZooKeeper::~MemoryZooKeeper() = default;

void MemoryZooKeeper::corrupt(const std::string& path, std::string data) {
  std::lock_guard lock(impl_->mutex);
  impl_->tree.replace_data(path, std::move(data));
}

std::vector<std::string> MemoryZooKeeper::paths() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->tree.paths();
}

void MemoryZooKeeper::Impl::notify_locked(const MemoryTree::Touched& touched) {
  for (MemoryCoordination::Client* client : clients) {
    // Without a connection nothing arrives; everybody is told when it is back.
    if (!client->link_up || client->past) continue;
    for (const auto& watch : client->watches) {
      if (touched.nodes.contains(watch.path) ||
          (watch.children && touched.children.contains(watch.path))) {
        Watcher::notify(watch.watcher, *client->events);
      }
    }
  }
}

// -- requests

void MemoryCoordination::Client::submit(const RequestPtr& request) {
  std::lock_guard lock(server->mutex);
  if (closed) {
    answer_locked(*request, znode_error(Code::shut_down, request->subject()));
  } else if (state != SessionState::connected || !link_up) {
    start_timer_locked(request);
    waiting.push_back(request);
  } else if (frozen) {
    start_timer_locked(request);
    request->session = session;
    hanging.push_back(request);
  } else {
    execute_locked(request);
  }
}

void MemoryCoordination::Client::start_timer_locked(const RequestPtr& request) {
  request->timed = true;
  request->timer = scheduler.after(options.request_timeout, [weak = weak_from_this(), request] {
    if (auto self = weak.lock()) self->timed_out(request);
  });
}

void MemoryCoordination::Client::execute_locked(const RequestPtr& request) {
  // A server answers no client with less than that one's own changes.
  if (request->change() || request->kind == Request::Kind::sync) catch_up_locked();
  if (!request->change()) {
    answer_locked(*request, result_locked(*request));
    return;
  }
  const ChangeFault fault = next_fault_locked(*request);
  const Error lost = znode_error(Code::unknown, request->subject());
  if (fault == ChangeFault::lose_request) {
    answer_locked(*request, lost);
    return;
  }
  auto touched = server->tree.commit(request->ops, session);
  if (touched) server->notify_locked(*touched);
  if (fault == ChangeFault::hang) {
    request->session = session;
    if (!request->timed) start_timer_locked(request);
  } else if (fault == ChangeFault::lose_reply) {
    answer_locked(*request, lost);
  } else if (touched) {
    answer_locked(*request, Answer{});
  } else {
    answer_locked(*request, touched.error());
  }
}

Result<Answer> MemoryCoordination::Client::result_locked(const Request& request) {
  Answer answer;
  const MemoryTree& tree = past ? *past : server->tree;
  if (request.kind == Request::Kind::get) {
    auto znode = tree.get(request.path);
    if (!znode) return znode.error();
    answer.znode = std::move(*znode);
  } else if (request.kind == Request::Kind::children) {
    auto names = tree.children(request.path);
    if (!names) return names.error();
    answer.names = std::move(*names);
  }
  return answer;
}

ChangeFault MemoryCoordination::Client::next_fault_locked(const Request& request) {
  if (!faults.empty()) {
    const ChangeFault fault = faults.front();
    faults.pop_front();
    return fault;
  }
  return choose_fault ? choose_fault(request.ops) : ChangeFault::none;
}

void MemoryCoordination::Client::answer_locked(Request& request, Result<Answer> result) {
  if (std::exchange(request.answered, true)) return;
  if (request.timed) scheduler.cancel(request.timer);
  scheduler.post([answer = request.answer, result = std::move(result)]() mutable {
    answer.resolve(std::move(result));
  });
}

void MemoryCoordination::Client::timed_out(const RequestPtr& request) {
  std::lock_guard lock(server->mutex);
  if (request->answered) return;
  const bool sent = request->session != 0;
  std::erase(waiting, request);
  // One that hangs at the server stays there: it is applied when the server goes on.
  const Code code = sent && request->change() ? Code::unknown : Code::unreachable;
  answer_locked(*request, znode_error(code, request->subject()));
}

void MemoryCoordination::Client::run_waiting_locked() {
  for (const auto& request : std::exchange(waiting, {})) {
    if (request->answered) continue;
    if (frozen) {
      request->session = session;
      hanging.push_back(request);
    } else {
      execute_locked(request);
    }
  }
}

// -- the session

void MemoryCoordination::Client::set_state_locked(SessionState next) {
  if (std::exchange(state, next) == next) return;
  for (const auto& listener : listeners) {
    events->post([listener, next] { (*listener)(next); });
  }
}

/// The client hears that its session is gone.
void MemoryCoordination::Client::session_ended_locked() {
  session_ended = false;
  std::deque<RequestPtr> kept;
  for (const auto& request : waiting) {
    if (request->change()) {
      answer_locked(*request, znode_error(Code::unreachable, request->subject()));
    } else {
      kept.push_back(request);
    }
  }
  waiting = std::move(kept);
  set_state_locked(SessionState::expired);
  scheduler.post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    std::lock_guard lock(self->server->mutex);
    if (!self->closed && self->state == SessionState::expired && self->link_up) {
      self->open_session_locked();
    }
  });
}

void MemoryCoordination::Client::open_session_locked() {
  past.reset();
  session = server->next_session++;
  set_state_locked(SessionState::connected);
  notify_all_locked();
  run_waiting_locked();
}

void MemoryCoordination::Client::end_session_at_server_locked() {
  server->notify_locked(server->tree.end_session(session));
}

void MemoryCoordination::Client::suspend_locked() {
  past.reset();
  link_up = false;
  if (state == SessionState::connected) set_state_locked(SessionState::suspended);
  for (const auto& request : std::exchange(hanging, {})) {
    if (request->change()) {
      answer_locked(*request, znode_error(Code::unknown, request->subject()));
    } else if (!request->answered) {
      waiting.push_back(request);
    }
  }
  const std::uint64_t suspension = ++suspensions;
  scheduler.after(options.session_timeout, [weak = weak_from_this(), suspension] {
    auto self = weak.lock();
    if (!self) return;
    std::lock_guard lock(self->server->mutex);
    const bool still = !self->link_up && self->suspensions == suspension;
    if (self->closed || !still || self->state != SessionState::suspended) return;
    if (std::exchange(self->session_ended, true)) return;
    self->end_session_at_server_locked();
  });
}

void MemoryCoordination::Client::notify_all_locked() {
  for (const auto& watch : watches) Watcher::notify(watch.watcher, *events);
}

void MemoryCoordination::Client::catch_up_locked() {
  if (!past) return;
  past.reset();
  notify_all_locked();
}

void MemoryCoordination::Client::close() {
  std::lock_guard lock(server->mutex);
  closed = true;
  std::erase(server->clients, this);
  for (auto* queue : {&waiting, &hanging}) {
    for (const auto& request : std::exchange(*queue, {})) {
      answer_locked(*request, znode_error(Code::shut_down, request->subject()));
    }
  }
  if (state != SessionState::expired && !session_ended) end_session_at_server_locked();
}

// -- the interface

MemoryCoordination::MemoryCoordination(MemoryZooKeeper& tree, Scheduler& scheduler,
                                       MemoryOptions options)
    : client_(std::make_shared<Client>(tree.impl_, scheduler, options)) {
  std::lock_guard lock(client_->server->mutex);
  client_->server->clients.push_back(client_.get());
  client_->open_session_locked();
}

MemoryCoordination::~MemoryCoordination() { client_->close(); }

Task<Result<Znode>> MemoryCoordination::get(std::string path) {
  if (auto fine = check_znode_path(path); !fine) co_return fine.error();
  auto request = std::make_shared<Request>();
  request->kind = Request::Kind::get;
  request->path = std::move(path);
  client_->submit(request);
  auto answer = co_await request->answer;
  if (!answer) co_return answer.error();
  co_return std::move(answer->znode);
}

Task<Result<std::vector<std::string>>> MemoryCoordination::children(std::string path) {
  if (auto fine = check_znode_path(path); !fine) co_return fine.error();
  auto request = std::make_shared<Request>();
  request->kind = Request::Kind::children;
  request->path = std::move(path);
  client_->submit(request);
  auto answer = co_await request->answer;
  if (!answer) co_return answer.error();
  co_return std::move(answer->names);
}

Task<Result<>> MemoryCoordination::commit(std::vector<Op> ops) {
  if (auto fine = check_transaction(ops); !fine) co_return fine.error();
  if (ops.empty()) co_return Unit{};
  auto request = std::make_shared<Request>();
  request->kind = Request::Kind::commit;
  request->ops = std::move(ops);
  client_->submit(request);
  auto answer = co_await request->answer;
  if (!answer) co_return answer.error();
  co_return Unit{};
}

Task<Result<>> MemoryCoordination::sync() {
  auto request = std::make_shared<Request>();
  request->path = "/";
  client_->submit(request);
  auto answer = co_await request->answer;
  if (!answer) co_return answer.error();
  co_return Unit{};
}

std::unique_ptr<Coordination::Watch> MemoryCoordination::watch(std::string path, bool children,
                                                               std::function<void()> changed) {
  auto watcher = std::make_shared<Watcher>(std::move(changed));
  {
    std::lock_guard lock(client_->server->mutex);
    client_->watches.push_back({std::move(path), children, watcher});
  }
  return std::make_unique<WatchToken>([client = client_, watcher] {
    {
      std::lock_guard lock(client->server->mutex);
      std::erase_if(client->watches, [&](const auto& entry) { return entry.watcher == watcher; });
    }
    watcher->cancel();
  });
}

std::unique_ptr<Coordination::Watch> MemoryCoordination::on_session(
    std::function<void(SessionState)> listener) {
  auto entry = std::make_shared<SessionListener>(std::move(listener));
  {
    std::lock_guard lock(client_->server->mutex);
    client_->listeners.push_back(entry);
  }
  return std::make_unique<WatchToken>([client = client_, entry] {
    {
      std::lock_guard lock(client->server->mutex);
      std::erase(client->listeners, entry);
    }
    entry->cancel();
  });
}

SessionState MemoryCoordination::session_state() const {
  std::lock_guard lock(client_->server->mutex);
  return client_->state;
}

std::int64_t MemoryCoordination::session_id() const {
  std::lock_guard lock(client_->server->mutex);
  return client_->session;
}

std::int64_t MemoryCoordination::session_timeout_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(client_->options.session_timeout)
      .count();
}

// -- faults

void MemoryCoordination::expire_session() {
  std::lock_guard lock(client_->server->mutex);
  if (client_->state == SessionState::expired || client_->session_ended) return;
  client_->end_session_at_server_locked();
  if (client_->link_up) {
    client_->session_ended_locked();
  } else {
    client_->session_ended = true;
  }
}

void MemoryCoordination::suspend() {
  std::lock_guard lock(client_->server->mutex);
  if (client_->link_up) client_->suspend_locked();
}

void MemoryCoordination::resume() {
  std::lock_guard lock(client_->server->mutex);
  if (std::exchange(client_->link_up, true)) return;
  if (client_->session_ended) {
    client_->session_ended_locked();
  } else if (client_->state == SessionState::expired) {
    client_->open_session_locked();
  } else {
    client_->set_state_locked(SessionState::connected);
    client_->notify_all_locked();
    client_->run_waiting_locked();
  }
}

void MemoryCoordination::freeze() {
  std::lock_guard lock(client_->server->mutex);
  client_->frozen = true;
}

void MemoryCoordination::thaw() {
  std::lock_guard lock(client_->server->mutex);
  client_->frozen = false;
  for (const auto& request : std::exchange(client_->hanging, {})) {
    const bool of_this_session = request->session == client_->session;
    const bool connected = client_->state == SessionState::connected;
    if (connected && (of_this_session || !request->change())) {
      client_->execute_locked(request);
    } else if (request->change()) {
      // The server refuses what an expired session had sent.
      client_->answer_locked(*request, znode_error(Code::unknown, request->subject()));
    } else if (!request->answered) {
      client_->waiting.push_back(request);
    }
  }
}

void MemoryCoordination::lag() {
  std::lock_guard lock(client_->server->mutex);
  if (!client_->past) client_->past = client_->server->tree;
}

void MemoryCoordination::catch_up() {
  std::lock_guard lock(client_->server->mutex);
  client_->catch_up_locked();
}

void MemoryCoordination::lose_next_reply() {
  std::lock_guard lock(client_->server->mutex);
  client_->faults.push_back(ChangeFault::lose_reply);
}

void MemoryCoordination::lose_next_request() {
  std::lock_guard lock(client_->server->mutex);
  client_->faults.push_back(ChangeFault::lose_request);
}

void MemoryCoordination::set_change_fault(
    std::function<ChangeFault(const std::vector<Op>&)> fault) {
  std::lock_guard lock(client_->server->mutex);
  client_->choose_fault = std::move(fault);
}

}  // namespace ukai
