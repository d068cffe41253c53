// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// Every bound in the system, with its reason.
namespace ukai::limits {

using namespace std::chrono_literals;

// -- disks
inline constexpr std::uint64_t disk_size_bytes_max = 64ULL << 40;  // 1,024 map segments
inline constexpr std::uint32_t block_size_bytes_min = 64U
                                                      << 10;  // below it, files cost more than data
inline constexpr std::uint32_t block_size_bytes_max =
    64U << 20;  // above it, one copy holds a range too long
inline constexpr std::uint32_t block_size_bytes_default = 4U << 20;  // the original's usual size
inline constexpr std::uint64_t segment_blocks = 16384;  // a fragmented segment stays ~100 kB
inline constexpr std::size_t disk_nodes_max = 64;       // a frame names missing nodes in 64 bits
inline constexpr std::size_t replicas_max = 8;          // more only multiplies write cost
inline constexpr std::size_t disk_name_chars_max = 128;
inline constexpr std::size_t snapshots_max = 4096;  // of a disk: some 200 kB of its record
inline constexpr std::size_t rollbacks_max = 1024;  // of a disk, in all its life
inline constexpr auto snapshot_hold = 80ms;         // changes that are under way end within it
inline constexpr int snapshot_tries = 20;           // else they go on, and another moment is chosen

// -- I/O
inline constexpr std::uint32_t io_bytes_max = 1U << 20;       // FUSE's largest request (256 pages)
inline constexpr auto io_deadline_default = 2000ms;           // design.md 6: missing after this
inline constexpr auto io_wait_default = 60s;                  // the only replica may take so long
inline constexpr std::uint32_t copy_chunk_bytes = 64U << 10;  // healing granularity
inline constexpr std::size_t jobs_kept = 20;                  // of a disk, that have ended
inline constexpr std::size_t jobs_parallel = 4;               // on one host
inline constexpr std::size_t node_copies_max = 16;            // to one node, of all hosts
inline constexpr std::size_t node_copies_waiting_max = 16;    // then it says that it is busy
inline constexpr std::size_t heal_blocks_parallel = 4;  // enough to fill a link, not a guest's

// -- wire
inline constexpr std::size_t batch_frames_max = 64;              // limits.md 5.2
inline constexpr std::size_t batch_bytes_max = 256U << 10;       // limits.md 5.2
inline constexpr std::size_t frame_bytes_max = 16U << 20;        // long lists; I/O is 1 MiB
inline constexpr std::size_t frame_what_bytes_max = 1024;        // one clear line
inline constexpr std::size_t stream_work_frames_max = 1024;      // then a server reads no more
inline constexpr std::size_t stream_work_bytes_max = 64U << 20;  // the same in memory held
inline constexpr std::size_t idle_receive_buffer_bytes_max = 16U << 20;  // kept for later
inline constexpr auto keepalive_interval = 500ms;      // with the time-out: a dead peer is noticed
inline constexpr auto keepalive_timeout = 1500ms;      // within the I/O deadline
inline constexpr auto server_keepalive = 10s;          // a dead client's stream goes
inline constexpr auto connect_timeout = 1000ms;        // half an I/O deadline, then once more
inline constexpr auto deadline_sweep_interval = 20ms;  // how late a deadline may be noticed
inline constexpr int control_threads_max = 64;         // calls served at the same time
inline constexpr auto copy_deadline = 60s;             // one block's copy, without a rate's time
inline constexpr auto distance_interval = 5s;          // how old a host's latency to a node may be
inline constexpr auto registry_retry = 500ms;          // when the registry cannot be read
inline constexpr auto idle_peer = 60s;                 // then a link nobody uses is closed
inline constexpr auto server_grace = 500ms;            // calls under way may end when it stops
inline constexpr std::size_t stream_queue_frames_max = 4096;  // then submit fails: unreachable
inline constexpr auto control_deadline = 10s;                 // unary calls that do not copy data
inline constexpr auto reconnect_backoff_min = 50ms;
inline constexpr auto reconnect_backoff_max = 2s;

// -- metadata
inline constexpr auto zookeeper_session_default = 10s;
inline constexpr auto metadata_request_default = 10s;  // a ZooKeeper leader election takes less
inline constexpr auto metadata_retry_pause = 100ms;    // between tries to read a lost outcome back
inline constexpr int metadata_conflicts_max = 16;      // compare-and-sets lost in a row, then stale
inline constexpr std::size_t earlier_ops_max = 8;      // operation ids a disk's record remembers
inline constexpr std::size_t record_text_bytes_max = 4096;  // a path; no other text is as long
inline constexpr std::size_t znode_bytes_max = 512U << 10;  // half of ZooKeeper's own limit
inline constexpr std::size_t events_max = 1000;             // kept; about 200 bytes each
inline constexpr std::uint64_t events_trim_every = 16;      // so many too many a writer
inline constexpr std::size_t transaction_ops_max = 2048;    // a 64 TiB create is 1,024 segments

// -- node
inline constexpr std::size_t open_files_default = 4096;
inline constexpr std::uint64_t reserve_bytes_default = 256ULL
                                                       << 20;  // left free, for logs and records
inline constexpr auto node_refresh_interval = 10s;             // how old `node list` may be
inline constexpr unsigned scheduler_threads = 2;               // timers, metadata, healing
inline constexpr unsigned background_threads = 2;              // a node's, for copies
inline constexpr int background_niceness = 10;                 // a tenth of a request's share
inline constexpr auto stop_patience = 2000ms;                  // a daemon that is told to stop
inline constexpr auto lease_end_patience = 5s;  // a holder that lost its lease has stopped by then
inline constexpr auto trash_interval = 600s;    // a watch tells sooner
inline constexpr std::uint64_t node_space_step_bytes = 1U << 20;  // less is not worth a write
inline constexpr std::size_t boot_id_bytes_max = 128;             // a UUID has 36
inline constexpr std::uint64_t scrub_rate_default = 8U << 20;     // 4 TB a week; no guest notices
inline constexpr auto scrub_pause = 600s;  // between passes of a node that holds little
inline constexpr std::size_t node_workers_default = 4;  // ops that may wait for the device

inline constexpr std::size_t held_disks_max = 256;    // of a page of what a node holds
inline constexpr std::size_t held_spans_max = 16384;  // the same, of blocks: below 1 MB

// -- lease
inline constexpr auto epoch_confirmation =
    2000ms;                                  // how long a node's word stands in for ZooKeeper's
inline constexpr auto lease_linger = 1s;     // QEMU closes and reopens within ms
inline constexpr auto hand_over_wait = 30s;  // design.md 7: for the holder's QEMU to be ready
inline constexpr auto yield_wait_max = 1s;   // asked again after it; a control thread waits as long
inline constexpr auto clean_interval = 30s;  // how lazily dirty bits are cleared

}  // namespace ukai::limits
