// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/tree_version.h"

#include "metadata/catalog_paths.h"
#include "metadata/records.h"

namespace ukai {

Task<Result<>> check_tree_version(Coordination& coordination) {
  auto cluster = co_await coordination.get(cluster_path());
  if (!cluster) co_return Unit{};
  if (auto newer = detail::newer_envelope(cluster_path(), cluster->data)) {
    co_return Error{Code::refused, newer->what};
  }
  co_return Unit{};
}

}  // namespace ukai
