// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/scheduler.h"

namespace ukai {

Task<void> sleep_for(Scheduler& scheduler, Duration delay) {
  OneShot<bool> fired;
  scheduler.after(delay, [fired] { fired.resolve(true); });
  co_await fired;
}

Task<void> hop(Scheduler& scheduler) {
  OneShot<bool> there;
  scheduler.post([there] { there.resolve(true); });
  co_await there;
}

}  // namespace ukai
