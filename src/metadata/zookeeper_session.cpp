// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/zookeeper_session.h"

#include <zookeeper/zookeeper.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "metadata/server_list.h"

namespace ukai::zk {

/// A request under way. The C client holds a pointer to it and gives it back exactly once, except
/// for those that zookeeper_close() overtakes; the registry in Session owns it for that reason.
struct Session::Pending {
  Session* session;
  Done done;
  std::vector<zoo_op_result_t> results;  // written by the C client until the answer
};

namespace {

constexpr int resolution_interval_ms = 60'000;

Stat to_stat(const ::Stat& stat) {
  return {stat.version, stat.czxid, stat.ephemeralOwner, stat.numChildren};
}

void* to_context(std::uint64_t watch) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(watch));
}

/// The C client would write to stderr, where ukaictl owes its user one clear line.
void log_line(const char* message) { log::debug("event=zookeeper_client message=\"{}\"", message); }

int length_of(const std::string& data) { return static_cast<int>(data.size()); }

/// Index of the step that failed; those after it carry ZRUNTIMEINCONSISTENCY.
std::size_t first_failed(const std::vector<zoo_op_result_t>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].err != ZOK && results[i].err != ZRUNTIMEINCONSISTENCY) return i;
  }
  return 0;
}

}  // namespace

struct Session::Callbacks {
  static Pending* pending(const void* data) {
    return static_cast<Pending*>(const_cast<void*>(data));
  }
  static void finish(const void* data, Answer answer) {
    pending(data)->session->finish(pending(data), std::move(answer));
  }

  static void session_event(zhandle_t* handle, int type, int state, const char*, void* context) {
    if (type != ZOO_SESSION_EVENT) return;
    auto& session = *static_cast<Session*>(context);
    // This thread may be faster than the one that is still inside zookeeper_init2().
    session.handle_ = handle;
    if (state == ZOO_CONNECTED_STATE) {
      session.observer_.session_changed(session, SessionEvent::connected);
    } else if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE) {
      session.observer_.session_changed(session, SessionEvent::ended);
    } else {
      session.observer_.session_changed(session, SessionEvent::disconnected);
    }
  }

  static void watch_event(zhandle_t* handle, int type, int, const char*, void* context) {
    // Every watch also hears of the session's changes, which do not disarm it.
    if (type == ZOO_SESSION_EVENT) return;
    auto& session = *static_cast<Session*>(const_cast<void*>(zoo_get_context(handle)));
    session.observer_.watch_fired(session, reinterpret_cast<std::uintptr_t>(context));
  }

  static void data(int rc, const char* value, int length, const ::Stat* stat, const void* context) {
    Answer answer;
    answer.rc = rc;
    if (rc == ZOK) {
      if (length > 0) answer.znode.data.assign(value, static_cast<std::size_t>(length));
      answer.znode.stat = to_stat(*stat);
    }
    finish(context, std::move(answer));
  }

  static void names(int rc, const String_vector* strings, const void* context) {
    Answer answer;
    answer.rc = rc;
    if (rc == ZOK) answer.names.assign(strings->data, strings->data + strings->count);
    finish(context, std::move(answer));
  }

  static void stat(int rc, const ::Stat*, const void* context) {
    Answer answer;
    answer.rc = rc;
    finish(context, std::move(answer));
  }

  static void path(int rc, const char*, const void* context) { stat(rc, nullptr, context); }

  static void transaction(int rc, const void* context) {
    Answer answer;
    answer.rc = rc;
    answer.failed_step = first_failed(pending(context)->results);
    finish(context, std::move(answer));
  }
};

Session::Session(SessionObserver& observer) : observer_(observer) {}

Session::~Session() {
  if (zhandle_t* handle = handle_.exchange(nullptr)) zookeeper_close(handle);
  // The C client's threads have ended: nothing else touches the registry any more.
  for (auto& [key, pending] : pending_) {
    Answer answer;
    answer.rc = ZCLOSING;
    pending->done(std::move(answer));
  }
}

Result<> Session::open(const std::string& servers, std::chrono::milliseconds timeout) {
  const auto list = odd_server_list(servers);
  if (!list) return list.error();
  zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
  zhandle_t* handle =
      zookeeper_init2(list->c_str(), &Callbacks::session_event, static_cast<int>(timeout.count()),
                      nullptr, this, ZOO_NO_LOG_CLIENTENV, &log_line);
  if (!handle) {
    return Error{Code::unreachable,
                 "ZooKeeper at " + servers + ": " + std::generic_category().message(errno)};
  }
  // By default it asks for the addresses each time it looks at its socket.
  zoo_set_servers_resolution_delay(handle, resolution_interval_ms);
  handle_ = handle;
  return Unit{};
}

Session::Pending* Session::enlist(Done done) {
  auto pending = std::make_unique<Pending>();
  pending->session = this;
  pending->done = std::move(done);
  Pending* key = pending.get();
  std::lock_guard lock(mutex_);
  pending_.emplace(key, std::move(pending));
  return key;
}

int Session::submitted(int rc, Pending* pending) {
  if (rc == ZOK) return rc;  // *pending may be gone already
  std::lock_guard lock(mutex_);
  pending_.erase(pending);
  return rc;
}

void Session::finish(Pending* pending, Answer answer) {
  std::unique_ptr<Pending> own;
  {
    std::lock_guard lock(mutex_);
    auto found = pending_.find(pending);
    own = std::move(found->second);
    pending_.erase(found);
  }
  own->done(std::move(answer));
}

int Session::get(const std::string& path, Done done) {
  Pending* pending = enlist(std::move(done));
  return submitted(zoo_aget(handle_, path.c_str(), 0, &Callbacks::data, pending), pending);
}

int Session::children(const std::string& path, Done done) {
  Pending* pending = enlist(std::move(done));
  return submitted(zoo_aget_children(handle_, path.c_str(), 0, &Callbacks::names, pending),
                   pending);
}

int Session::create(const std::string& path, Done done) {
  Pending* pending = enlist(std::move(done));
  return submitted(zoo_acreate(handle_, path.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT,
                               &Callbacks::path, pending),
                   pending);
}

int Session::sync(const std::string& path, Done done) {
  Pending* pending = enlist(std::move(done));
  return submitted(zoo_async(handle_, path.c_str(), &Callbacks::path, pending), pending);
}

int Session::watch_existence(const std::string& path, std::uint64_t watch, Done done) {
  Pending* pending = enlist(std::move(done));
  return submitted(zoo_awexists(handle_, path.c_str(), &Callbacks::watch_event, to_context(watch),
                                &Callbacks::stat, pending),
                   pending);
}

int Session::watch_children(const std::string& path, std::uint64_t watch, Done done) {
  Pending* pending = enlist(std::move(done));
  return submitted(zoo_awget_children(handle_, path.c_str(), &Callbacks::watch_event,
                                      to_context(watch), &Callbacks::names, pending),
                   pending);
}

namespace {

int creation_mode(Op::Kind kind) {
  switch (kind) {
    case Op::Kind::create_ephemeral:
      return ZOO_EPHEMERAL;
    case Op::Kind::create_sequential:
      return ZOO_PERSISTENT_SEQUENTIAL;
    default:
      return ZOO_PERSISTENT;
  }
}

}  // namespace

int Session::commit(const std::vector<Op>& ops, Done done) {
  std::vector<zoo_op_t> steps(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    zoo_op_t* step = &steps[i];
    switch (op.kind) {
      case Op::Kind::create:
      case Op::Kind::create_ephemeral:
      case Op::Kind::create_sequential:
        zoo_create_op_init(step, op.path.c_str(), op.data.data(), length_of(op.data),
                           &ZOO_OPEN_ACL_UNSAFE, creation_mode(op.kind), nullptr, 0);
        break;
      case Op::Kind::set:
        zoo_set_op_init(step, op.path.c_str(), op.data.data(), length_of(op.data), op.version,
                        nullptr);
        break;
      case Op::Kind::remove:
        zoo_delete_op_init(step, op.path.c_str(), op.version);
        break;
      case Op::Kind::check:
        zoo_check_op_init(step, op.path.c_str(), op.version);
        break;
    }
  }
  Pending* pending = enlist(std::move(done));
  pending->results.resize(ops.size());
  return submitted(zoo_amulti(handle_, static_cast<int>(steps.size()), steps.data(),
                              pending->results.data(), &Callbacks::transaction, pending),
                   pending);
}

std::int64_t Session::id() const {
  zhandle_t* handle = handle_;
  return handle ? zoo_client_id(handle)->client_id : 0;
}

std::int64_t Session::timeout_ms() const {
  zhandle_t* handle = handle_;
  return handle ? zoo_recv_timeout(handle) : 0;
}

}  // namespace ukai::zk
