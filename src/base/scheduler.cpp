// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/scheduler.h"

namespace ukai {

void Rescheduled::await_suspend(std::coroutine_handle<> awaiter) const {
  auto resume = [awaiter] { awaiter.resume(); };  // may destroy *this before post returns
  if (delay_ == Duration::zero()) {
    scheduler_.post(std::move(resume));
  } else {
    scheduler_.after(delay_, std::move(resume));
  }
}

}  // namespace ukai
