// SPDX-License-Identifier: BSD-2-Clause
#include "rpc/status.h"

#include <fmt/format.h>
#include <grpcpp/support/status.h>

#include <algorithm>
#include <array>

namespace ukai {
namespace {

struct Row {
  Code code;
  std::uint8_t wire;
  grpc::StatusCode grpc;
};

// Numbers on the wire never change their meaning; new ones are added at the end.
constexpr std::array<Row, 13> rows{{
    {Code::invalid, 1, grpc::StatusCode::INVALID_ARGUMENT},
    {Code::not_found, 2, grpc::StatusCode::NOT_FOUND},
    {Code::exists, 3, grpc::StatusCode::ALREADY_EXISTS},
    {Code::busy, 4, grpc::StatusCode::FAILED_PRECONDITION},
    {Code::no_space, 5, grpc::StatusCode::RESOURCE_EXHAUSTED},
    {Code::unreachable, 6, grpc::StatusCode::UNAVAILABLE},
    {Code::unknown, 7, grpc::StatusCode::UNKNOWN},
    {Code::refused, 8, grpc::StatusCode::PERMISSION_DENIED},
    {Code::stale, 9, grpc::StatusCode::ABORTED},
    {Code::not_admitted, 10, grpc::StatusCode::FAILED_PRECONDITION},
    {Code::corrupt, 11, grpc::StatusCode::DATA_LOSS},
    {Code::io, 12, grpc::StatusCode::INTERNAL},
    {Code::shut_down, 13, grpc::StatusCode::CANCELLED},
}};

// gRPC's texts about connections run over several lines and hundreds of characters.
constexpr std::size_t transport_text_chars_max = 160;

const Row& row_of(Code code) {
  return *std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.code == code; });
}

std::string first_line(const std::string& text) {
  return text.substr(0, std::min(text.find('\n'), transport_text_chars_max));
}

}  // namespace

std::uint8_t wire_status(Code code) { return row_of(code).wire; }

std::optional<Code> code_from_wire(std::uint8_t status) {
  for (const Row& row : rows) {
    if (row.wire == status) return row.code;
  }
  return std::nullopt;
}

grpc::Status to_grpc(const Error& error) {
  return grpc::Status(row_of(error.code).grpc, error.what, std::string(to_string(error.code)));
}

Error from_grpc(const grpc::Status& status, std::string_view peer) {
  if (auto code = code_named(status.error_details())) return Error{*code, status.error_message()};
  const std::string text = first_line(status.error_message());
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Error{Code::invalid, fmt::format("{} does not take this request: {}", peer, text)};
    case grpc::StatusCode::UNIMPLEMENTED:
      return Error{Code::refused, fmt::format("{} does not offer this service", peer)};
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Error{Code::unreachable, fmt::format("{} did not answer in time", peer)};
    default:
      return Error{Code::unreachable, fmt::format("{} is not reachable: {}", peer, text)};
  }
}

}  // namespace ukai
