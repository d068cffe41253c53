// SPDX-License-Identifier: BSD-2-Clause
//
// A storage node: any calls in any order, with what lies in its small files before. It answers or
// refuses; what it refuses changes nothing that is durable.
#include <fuzzer/FuzzedDataProvider.h>

#include <memory>

#include "check.h"
#include "harness/manual_scheduler.h"
#include "store/memory_block_store.h"
#include "ukai/storage_node.h"

namespace ukai::fuzz {
namespace {

using Data = FuzzedDataProvider;
constexpr std::uint32_t block_bytes = 64 << 10;

/// Mostly small, sometimes anything.
std::uint64_t number(Data& data) {
  return data.ConsumeBool() ? data.ConsumeIntegralInRange<std::uint64_t>(0, 5)
                            : data.ConsumeIntegral<std::uint64_t>();
}

DiskId disk_of(Data& data) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = data.ConsumeIntegralInRange<std::uint8_t>(0, 1);
  return DiskId(bytes);
}

pb::SessionRef ref(Data& data) {
  pb::SessionRef ref;
  ref.set_disk_id(data.ConsumeProbability<float>() < 0.95F ? disk_of(data).to_string()
                                                           : data.ConsumeRandomLengthString(40));
  ref.set_epoch(number(data));
  ref.set_session(number(data));
  return ref;
}

std::string member(Data& data) {
  return data.ConsumeProbability<float>() < 0.9F
             ? "n" + std::to_string(data.ConsumeIntegralInRange<int>(1, 4))
             : data.ConsumeRandomLengthString(8);
}

template <class Request>
void add_members(Data& data, Request& request) {
  const int count = data.ConsumeIntegralInRange<int>(0, 70);
  for (int i = 0; i < count; ++i)
    request.add_members(count > 4 ? "m" + std::to_string(i) : member(data));
  request.set_missing_mask(number(data));
}

class Node {
 public:
  explicit Node(Data& data) : data_(data) {
    StorageNodeOptions options;
    options.id = NodeId("n1");
    options.cluster_id = "c";
    options.boot_id = "boot";
    options.peers = [](const pb::PullRequest&) { return nullptr; };
    for (const char* name : {"session", "dirty.log"}) {
      if (!data.ConsumeBool()) continue;
      (void)store_.open_disk(DiskId(), block_bytes);
      (void)store_.replace_file(DiskId(), name, data.ConsumeRandomLengthString(100));
    }
    node_ = std::make_unique<StorageNode>(store_, scheduler_, options);
  }

  void call() {
    const auto before = durable();
    const auto outcome = one_call();
    if (outcome.ok()) return;
    check_line(outcome.error().what);
    if (outcome.code() == Code::invalid || outcome.code() == Code::stale ||
        outcome.code() == Code::not_admitted) {
      check(durable() == before, "what is refused changes nothing");
    }
  }

 private:
  using Durable = std::vector<std::optional<std::string>>;

  Durable durable() {
    Durable out;
    for (std::uint8_t i = 0; i < 2; ++i) {
      std::array<std::uint8_t, 16> bytes{};
      bytes[15] = i;
      for (const char* name : {"session", "dirty.log"}) {
        auto content = store_.load_file(DiskId(bytes), name);
        out.push_back(content.ok() ? *content : std::nullopt);
      }
    }
    return out;
  }

  template <class T>
  static Result<> outcome(const Result<T>& result) {
    return result.ok() ? Result<>() : Result<>(result.error());
  }

  Result<> one_call() {
    switch (data_.ConsumeIntegralInRange<int>(0, 7)) {
      case 0: {
        pb::FenceRequest request;
        *request.mutable_ref() = ref(data_);
        request.set_disk_name("vm");
        request.set_size(data_.ConsumeBool() ? 16 * block_bytes : number(data_));
        request.set_block_size(data_.ConsumeBool() ? block_bytes
                                                   : data_.ConsumeIntegral<std::uint32_t>());
        request.set_generation(number(data_));
        request.set_cluster_id("c");
        add_members(data_, request);
        return outcome(node_->fence(request));
      }
      case 1: {
        pb::DirtyListRequest request;
        *request.mutable_ref() = ref(data_);
        if (data_.ConsumeBool()) request.set_missed_by(member(data_));
        return outcome(node_->dirty_list(request));
      }
      case 2: {
        pb::CleanRequest request;
        *request.mutable_ref() = ref(data_);
        request.set_through_sequence(number(data_));
        request.set_earlier_epochs(data_.ConsumeBool());
        if (data_.ConsumeBool()) request.add_healed(member(data_));
        return outcome(node_->clean(request));
      }
      case 3: {
        pb::SetMissingRequest request;
        *request.mutable_ref() = ref(data_);
        request.set_size(number(data_));
        add_members(data_, request);
        return outcome(node_->set_missing(request));
      }
      case 4: {
        pb::HashRequest request;
        *request.mutable_ref() = ref(data_);
        request.set_block(number(data_));
        request.set_generation(number(data_));
        request.set_chunk(data_.ConsumeIntegral<std::uint32_t>());
        request.set_length(data_.ConsumeIntegral<std::uint32_t>());
        return outcome(node_->hash(request));
      }
      case 5: {
        pb::PullRequest request;
        *request.mutable_ref() = ref(data_);
        request.set_block(number(data_));
        request.set_generation(number(data_));
        request.set_source_node(member(data_));
        request.set_length(data_.ConsumeIntegral<std::uint32_t>());
        request.set_missing_mask(number(data_));
        return outcome(scheduler_.run(node_->pull(std::move(request))));
      }
      case 6: {
        pb::DiskUsageRequest request;
        request.set_disk_id(ref(data_).disk_id());
        (void)node_->disk_usage(request);
        (void)node_->health();
        return {};
      }
      default:
        return io();
    }
  }

  Result<> io() {
    IoRequest request;
    request.op = static_cast<IoOp>(data_.ConsumeIntegralInRange<int>(0, 9));
    request.disk = disk_of(data_);
    request.epoch = Epoch{number(data_)};
    request.session = Session{number(data_)};
    request.sequence = Sequence{number(data_)};
    request.generation = Generation{number(data_)};
    request.block = BlockIndex{number(data_)};
    request.offset_bytes = number(data_);
    request.length_bytes = data_.ConsumeBool()
                               ? data_.ConsumeIntegralInRange<std::uint32_t>(0, 70000)
                               : data_.ConsumeIntegral<std::uint32_t>();
    request.missing_mask = number(data_);
    if (request.op == IoOp::write) {
      request.length_bytes %= 1U << 20;
      request.data = Payload::zeros(request.length_bytes);
    }
    const auto reply = node_->handle(request, false);
    check(reply.has_value(), "a request that may block is answered");
    if (!reply->ok) return Error{reply->code, reply->what};
    if (request.op == IoOp::read) {
      check(reply->data.size() == request.length_bytes, "a read brings what was asked for");
    }
    return {};
  }

  Data& data_;
  test::ManualScheduler scheduler_;
  MemoryBlockStore store_;
  std::unique_ptr<StorageNode> node_;
};

}  // namespace
}  // namespace ukai::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  ukai::fuzz::Node node(data);
  while (data.remaining_bytes() > 0) node.call();
  return 0;
}
