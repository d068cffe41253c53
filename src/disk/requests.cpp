// SPDX-License-Identifier: BSD-2-Clause
#include "disk/requests.h"

#include <atomic>

namespace ukai {
namespace {

/// Collects the answers of one fan-out. shared_ptr: each link's callback holds on to it.
struct FanOut {
  explicit FanOut(std::vector<Target> targets) : left(targets.size()) {
    for (Target& target : targets) answers.push_back({std::move(target), {}, {}});
  }
  std::atomic<std::size_t> left;
  std::vector<Answer> answers;
  OneShot<bool> all;
};

}  // namespace

IoRequest under_session(const DiskCore& core, IoRequest request, Session session) {
  request.disk = core.id;
  request.epoch = core.lease.epoch;
  request.session = session;
  return request;
}

void note_failure(DiskCore& core, const Target& target, const IoReply& reply) {
  if (reply.ok || !ends_session(reply.code)) return;
  core.session_failed(target.index, target.session, Error{reply.code, reply.what});
}

bool ends_session(Code code) {
  switch (code) {
    case Code::corrupt:   // the session is fine, the bytes are not
    case Code::no_space:  // likewise; the member is set aside by whoever needed the space
    case Code::invalid:
    case Code::not_found:
    case Code::exists:
      return false;
    default:
      return true;
  }
}

Task<std::vector<Answer>> send_to_all(DiskCore& core, IoRequest request,
                                      std::vector<Target> targets) {
  std::vector<Answer> answers;
  if (targets.empty()) co_return answers;
  if (targets.size() == 1) {
    Target target = targets.front();
    const TimePoint begin = core.now();
    IoReply reply = co_await send_to(core, std::move(request), target);
    answers.push_back({std::move(target), std::move(reply), core.now() - begin});
    co_return answers;
  }
  auto fan_out = std::make_shared<FanOut>(std::move(targets));
  const TimePoint begin = core.now();
  const Scheduler& clock = core.services.scheduler;
  for (std::size_t i = 0; i < fan_out->answers.size(); ++i) {
    const Target& target = fan_out->answers[i].target;
    target.link->submit(under_session(core, request, target.session), core.options.io_deadline,
                        [fan_out, i, begin, &clock](IoReply reply) {
                          fan_out->answers[i].reply = std::move(reply);
                          fan_out->answers[i].took = clock.now() - begin;
                          if (fan_out->left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                            fan_out->all.resolve(true);
                          }
                        });
  }
  OneShot<bool> all = fan_out->all;
  co_await all;
  for (const Answer& answer : fan_out->answers) note_failure(core, answer.target, answer.reply);
  co_return std::move(fan_out->answers);
}

bool Sent::await_suspend(std::coroutine_handle<> awaiter) {
  meeting_.set_awaiter(awaiter);
  target_.link->submit(under_session(core_, std::move(request_), target_.session),
                       core_.options.io_deadline, [this](IoReply reply) {
                         reply_.emplace(std::move(reply));
                         meeting_.finished();  // the awaiter may have ended, and this with it
                       });
  return meeting_.must_wait();
}

IoReply Sent::await_resume() {
  note_failure(core_, target_, *reply_);
  return std::move(*reply_);
}

Task<bool> ping(DiskCore& core, std::size_t index, Session session) {
  Target target;
  target.index = index;
  target.session = session;
  {
    std::lock_guard lock(core.mutex);
    target.link = core.replicas[index]->link;
  }
  if (!target.link) co_return false;
  IoRequest request;
  request.op = IoOp::ping;
  const IoReply reply = co_await send_to(core, std::move(request), target);
  co_return reply.ok;
}

}  // namespace ukai
