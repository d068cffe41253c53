// SPDX-License-Identifier: BSD-2-Clause
#include <utility>

#include "ukai/coordination.h"

namespace ukai {

Op Op::create(std::string path, std::string data) {
  return {Kind::create, std::move(path), std::move(data), any_version};
}

Op Op::create_ephemeral(std::string path, std::string data) {
  return {Kind::create_ephemeral, std::move(path), std::move(data), any_version};
}

Op Op::create_sequential(std::string path, std::string data) {
  return {Kind::create_sequential, std::move(path), std::move(data), any_version};
}

Op Op::set(std::string path, std::string data, std::int32_t version) {
  return {Kind::set, std::move(path), std::move(data), version};
}

Op Op::remove(std::string path, std::int32_t version) {
  return {Kind::remove, std::move(path), "", version};
}

Op Op::check(std::string path, std::int32_t version) {
  return {Kind::check, std::move(path), "", version};
}

}  // namespace ukai
