// SPDX-License-Identifier: BSD-2-Clause
//
// What the checksums of 4 KiB writes and reads cost: the store beside the same system calls without
// them. Run with a folder in UKAI_BENCH_FOLDER to measure another file system than /dev/shm.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "store/file_block_store.h"
#include "store/unit_sums.h"

namespace ukai {
namespace {

constexpr std::uint32_t block_size = 4U << 20;
constexpr std::uint64_t blocks = 16;
constexpr std::uint32_t unit = BlockStore::unit_bytes;

BlockKey key_of(std::uint64_t block) { return {DiskId(), BlockIndex{block}, Generation{1}}; }

class Folder {
 public:
  Folder() {
    const char* base = std::getenv("UKAI_BENCH_FOLDER");
    path_ = std::string(base != nullptr ? base : "/dev/shm") + "/ukai-bench-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<BlockStore> filled_store(const std::string& folder) {
  FileStoreOptions options;
  options.root = folder;
  options.node_id = NodeId("n1");
  options.cluster_id = "c";
  options.reserve_bytes = 0;
  auto store = std::move(*open_file_store(options));
  if (!store->open_disk(DiskId(), block_size).ok()) std::abort();
  const Payload all(Bytes::copy_of(std::string(block_size, 'x')));
  for (std::uint64_t block = 0; block < blocks; ++block)
    if (!store->write(key_of(block), 0, all).ok()) std::abort();
  return store;
}

/// A place in the data, as a guest's random writes choose it.
struct Place {
  std::uint64_t block;
  std::uint32_t offset;
};
Place next(std::mt19937& random) {
  return {random() % blocks, static_cast<std::uint32_t>(random() % (block_size / unit)) * unit};
}

void store_write(benchmark::State& state) {
  const Folder folder;
  auto store = filled_store(folder.path());
  const Payload data(Bytes::copy_of(std::string(unit, 'y')));
  std::mt19937 random(1);
  for (auto _ : state) {
    const Place place = next(random);
    if (!store->write(key_of(place.block), place.offset, data).ok()) std::abort();
  }
}
BENCHMARK(store_write);

void store_write_512(benchmark::State& state) {
  const Folder folder;
  auto store = filled_store(folder.path());
  const Payload data(Bytes::copy_of(std::string(512, 'y')));
  std::mt19937 random(1);
  for (auto _ : state) {
    const Place place = next(random);
    if (!store->write(key_of(place.block), place.offset, data).ok()) std::abort();
  }
}
BENCHMARK(store_write_512);

void store_read(benchmark::State& state) {
  const Folder folder;
  auto store = filled_store(folder.path());
  std::mt19937 random(1);
  for (auto _ : state) {
    const Place place = next(random);
    auto data = store->read(key_of(place.block), place.offset, unit, false);
    if (!data.ok()) std::abort();
    benchmark::DoNotOptimize(data);
  }
}
BENCHMARK(store_read);

/// What each of them would be without the checksum is the figure above less these.
void checksum_of_a_unit(benchmark::State& state) {
  const UnitSummer summer(key_of(1));
  const std::string data(unit, 'y');
  std::uint32_t i = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(
        summer.of(++i, {reinterpret_cast<const std::byte*>(data.data()), unit}));
}
BENCHMARK(checksum_of_a_unit);

void trailer_entry(benchmark::State& state) {
  const Folder folder;
  const int fd = ::open((folder.path() + "/f").c_str(), O_RDWR | O_CREAT, 0600);
  const std::uint32_t sum = 7;
  if (::ftruncate(fd, block_size + unit) != 0) std::abort();
  for (auto _ : state)
    if (::pwrite(fd, &sum, sizeof sum, block_size + 64 + (sum % 100) * 4) != sizeof sum)
      std::abort();
  ::close(fd);
}
BENCHMARK(trailer_entry);

}  // namespace
}  // namespace ukai

BENCHMARK_MAIN();
