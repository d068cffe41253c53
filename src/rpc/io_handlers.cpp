// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/io_handlers.h"

namespace ukai {
namespace {

/// No guest waits for it. (Pings without a session measure the way, and nothing else.)
bool is_copying(const IoRequest& request) {
  return request.session == Session{0} && request.op != IoOp::ping;
}

}  // namespace

std::optional<IoReply> NodeIoHandler::answer_now(const IoRequest& request) {
  if (is_copying(request)) return std::nullopt;
  return node_.handle(request, true);
}

void NodeIoHandler::start(IoRequest request, Done done) {
  const bool copying = is_copying(request);
  auto work = [this, request = std::move(request), done = std::move(done)] {
    done(*node_.handle(request, false));
  };
  if (copying) {
    background_.post(std::move(work));
  } else {
    pool_.post(std::move(work));
  }
}

std::optional<IoReply> HostIoHandler::answer_now(const IoRequest& /*request*/) {
  return std::nullopt;
}

void HostIoHandler::start(IoRequest request, Done done) {
  disks_.serve_reader(std::move(request), std::move(done));
}

IoHandler* RoutingIoHandler::route(IoOp op) const {
  const bool for_host = op == IoOp::read_disk || op == IoOp::seek_disk;
  return for_host ? host_ : node_;
}

std::optional<IoReply> RoutingIoHandler::answer_now(const IoRequest& request) {
  if (IoHandler* part = route(request.op)) return part->answer_now(request);
  return IoReply::failed(Code::refused, "this daemon does not serve this operation");
}

void RoutingIoHandler::start(IoRequest request, Done done) {
  IoHandler* part = route(request.op);
  part->start(std::move(request), std::move(done));
}

}  // namespace ukai
