// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/status.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <array>
#include <set>

namespace ukai {
namespace {

constexpr std::array all_codes{Code::invalid,  Code::not_found,    Code::exists,  Code::busy,
                               Code::no_space, Code::unreachable,  Code::unknown, Code::refused,
                               Code::stale,    Code::not_admitted, Code::corrupt, Code::io,
                               Code::shut_down};

TEST(Status, every_code_survives_both_ways_over) {
  std::set<std::uint8_t> numbers;
  for (Code code : all_codes) {
    EXPECT_NE(wire_status(code), wire_ok);
    EXPECT_TRUE(numbers.insert(wire_status(code)).second);
    EXPECT_EQ(code_from_wire(wire_status(code)), code);

    const grpc::Status status = to_grpc(Error{code, "why it was"});
    EXPECT_FALSE(status.ok());
    const Error back = from_grpc(status, "n1");
    EXPECT_EQ(back.code, code);
    EXPECT_EQ(back.what, "why it was");
  }
}

TEST(Status, numbers_nobody_uses_are_no_code) {
  EXPECT_FALSE(code_from_wire(wire_ok));
  EXPECT_FALSE(code_from_wire(14));
  EXPECT_FALSE(code_from_wire(255));
}

TEST(Status, what_grpc_itself_reports_means_unreachable) {
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status(static_cast<grpc::StatusCode>(code), "first line\nsecond");
    const Error error = from_grpc(status, "n1");
    EXPECT_EQ(error.what.find("n1 "), 0U) << error.what;
    EXPECT_EQ(error.what.find('\n'), std::string::npos);
    if (code == grpc::StatusCode::INVALID_ARGUMENT) {
      EXPECT_EQ(error.code, Code::invalid);
    } else if (code == grpc::StatusCode::UNIMPLEMENTED) {
      EXPECT_EQ(error.code, Code::refused);
    } else {
      EXPECT_EQ(error.code, Code::unreachable);
    }
  }
}

}  // namespace
}  // namespace ukai
