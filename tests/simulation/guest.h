// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "simulation/model.h"
#include "simulation/world.h"

namespace ukai::sim {

/// A guest that reads, writes, flushes and discards at random through one host at a time, its
/// requests overlapping as they like, and checks whatever it reads. When its host is lost it goes
/// on with another. Cells lie around the borders of blocks, so that many requests cross one.
class Guest {
 public:
  static constexpr std::uint32_t cell_bytes = 512;
  static constexpr std::size_t border_cells = 32;  ///< half of them on each side

  Guest(World& world, DiskName disk, std::uint32_t block_bytes, std::size_t blocks)
      : world_(world),
        disk_(std::move(disk)),
        block_bytes_(block_bytes),
        cells_((blocks - 1) * border_cells),
        model_(cells_) {}

  void will_migrate() { migrates_ = true; }

  /// Opens the disk on `host`; operations of the former host count as abandoned from then on.
  void move_to(std::size_t host);
  bool is_open() const { return handle_ != nullptr; }
  /// Starts a live migration to `host`, as QEMU does it; it may be cancelled on the way. Needs a
  /// disk that both hosts are allowed to have.
  void migrate_to(std::size_t host);
  /// Where it is.
  std::size_t host() const { return host_; }
  std::uint64_t migrations() const { return migrations_; }
  /// Starts one random operation if it is open and fewer than a handful are under way.
  void act();
  /// Starts a read through a host that does not write, where one has been set.
  void act_reader();
  void read_from(std::size_t host) { reader_host_ = host; }
  /// Writes to every block, so that every replica is needed.
  void touch_all();
  /// Writes everything, and so also what no replica can read any more.
  void write_all();
  /// Whether the byte is one of its cells'.
  bool writes_to(std::uint64_t offset_bytes) const;
  /// Starts reading everything twice.
  void read_all();
  /// The handle on the host that the guest leaves next is kept, and reads now and then: whoever has
  /// lost the lease may be refused, and is not told what is out of date.
  void leave_witness() { witness_ = handle_; }
  void dismiss_witness() { witness_.reset(); }
  void flush();
  void close();

  std::uint64_t offset_of(std::size_t cell) const;
  std::size_t cells() const { return cells_; }

  std::size_t under_way() const { return under_way_; }
  std::uint64_t completed() const { return completed_; }
  std::uint64_t io_errors() const { return io_errors_; }  ///< EIO, that of flushes aside
  const std::vector<std::string>& violations() const { return violations_; }
  Model& model() { return model_; }

 private:
  struct Range {
    std::size_t first;
    std::size_t count;
  };
  struct Change {
    Range range;
    std::vector<std::uint64_t> writes;  ///< their names in the model
    std::uint64_t era;
    std::size_t host;
    TimePoint since;
    std::shared_ptr<OpenDisk> handle;
  };
  Range pick();
  Task<void> open_on(std::size_t host, std::uint64_t era);
  Task<void> open_reader();
  Task<void> do_migrate(std::size_t host);
  Task<bool> stop_on(std::shared_ptr<OpenDisk> source, std::uint64_t era);
  Task<void> do_read(std::shared_ptr<OpenDisk> handle, Range range, std::uint64_t era);
  Task<void> do_write(Range range, std::uint64_t era);
  Task<void> do_zero(Range range, std::uint64_t era);
  Task<void> do_witness(std::shared_ptr<OpenDisk> handle, Range range);
  Task<void> do_write_dead(std::shared_ptr<OpenDisk> handle);
  Task<void> do_flush(std::uint64_t era);
  void check(Range range, const std::string& bytes, std::uint64_t begun);
  void finish_change(const Change& change, const Result<>& done);
  void ended(const std::string& what, TimePoint since, std::uint64_t era, const Result<>& done);
  void complain(const std::string& what);

  World& world_;
  DiskName disk_;
  const std::uint32_t block_bytes_;
  const std::size_t cells_;
  Model model_;
  std::shared_ptr<OpenDisk> handle_;
  std::shared_ptr<OpenDisk> witness_;  ///< stays open on a host that the guest has left
  std::size_t witnessing_ = 0;
  std::shared_ptr<OpenDisk> dead_;  ///< has told that another host took the disk
  bool migrates_ = false;           ///< then its handles hold QEMU's write lock
  bool migrating_ = false;
  std::uint64_t migrations_ = 0;
  std::shared_ptr<OpenDisk> left_;  ///< by a migration: dead once a cell has changed since
  std::optional<std::size_t> reader_host_;
  std::shared_ptr<OpenDisk> reader_;
  bool reader_opening_ = false;
  std::size_t host_ = 0;
  std::size_t opened_on_ = 0;
  std::optional<std::uint64_t> opened_;  ///< moment; nothing was served on this host yet
  std::uint64_t era_ = 0;  ///< grows with each move; what an older one still does is abandoned
  std::uint64_t last_value_ = 0;
  std::size_t under_way_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t io_errors_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace ukai::sim
