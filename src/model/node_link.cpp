// SPDX-License-Identifier: BSD-2-Clause
#include "ukai/node_link.h"

namespace ukai {

Task<IoReply> submit(NodeLink& link, IoRequest request, Duration deadline) {
  OneShot<IoReply> answered;
  link.submit(std::move(request), deadline,
              [answered](IoReply reply) { answered.resolve(std::move(reply)); });
  co_return co_await answered;
}

}  // namespace ukai
