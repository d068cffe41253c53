// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/async.h"
#include "disk/disk_options.h"
#include "disk/error_log.h"
#include "disk/lease_clock.h"
#include "disk/map_cache.h"
#include "disk/range_locks.h"
#include "disk/size_histogram.h"
#include "ukai/catalog.h"
#include "ukai/members.h"
#include "ukai/node_link.h"

namespace ukai {

/// How long a member took to change data lately, and what follows from it (PaceWatch).
struct Pace {
  Duration total{};  ///< of `samples` changes since the last look
  std::uint32_t samples = 0;
  int strikes = 0;         ///< looks in a row that found it slow
  Duration pause{};        ///< last pause before it was healed again
  TimePoint heal_after{};  ///< it is not healed before

  void add(Duration took) {
    total += took;
    ++samples;
  }
  std::optional<Duration> mean() const {
    if (samples == 0) return std::nullopt;
    return total / samples;
  }
  void forget() {
    total = {};
    samples = 0;
  }
};

/// One member node of an attached disk, as the holder stands with it. All fields but the first two
/// are guarded by DiskCore::mutex.
struct Replica {
  enum class State {
    closed,   ///< no session; the connector tries to open one
    fencing,  ///< a fence is under way
    open,     ///< the session stands; requests may be sent under it
  };

  NodeId node;
  std::size_t index = 0;  ///< in MemberTable and in missing masks

  State state = State::closed;
  Session session{};               ///< of the open session
  std::uint64_t last_session = 0;  ///< largest number ever used here under this epoch
  bool fenced = false;             ///< under this epoch, at least once
  std::string boot_id;             ///< at the last fence by this host; empty: there was none
  std::uint64_t incarnation = 0;   ///< of the process that answered the last fence
  std::uint64_t forward_from = 0;  ///< while healing: this sequence and later go there too
  bool healing = false;            ///< missing, and receives all new writes while it is copied to
  bool presenting = false;         ///< ZooKeeper is told that it is present: it may be, from now on
  std::uint64_t heal_left = 0;     ///< blocks still to be copied, at most
  bool heal_unknown = false;       ///< what it misses cannot be told: a survivor is away
  std::uint64_t told_bytes = 0;    ///< size of the disk that the node knows
  std::size_t told_members = 0;    ///< how many members it knows by name
  std::string told_history;        ///< which generations there are, as it knows it
  std::uint64_t told_mask = 0;     ///< missing mask that the node has folded its active set for
  std::uint64_t changes_acked = 0;    ///< mutating requests that it has applied
  std::uint64_t changes_flushed = 0;  ///< of those, known to be durable
  bool lost_writes = false;  ///< its machine crashed with acknowledged, unflushed changes on it
  std::shared_ptr<NodeLink> link;
  std::string data_address;
  std::string control_address;
  std::string site;
  int rank = 0;                 ///< smaller is nearer
  TimePoint fenced_first{};     ///< when the first fence under this epoch had its answer
  TimePoint confirmed{};        ///< when the last confirmed ping was sent, while ZooKeeper is away
  Session confirmed_session{};  ///< under which it was
  bool confirming = false;      ///< one is under way
  std::string last_error;
  Pace pace;
};

/// A replica of one block on its way to being in sync: new writes go to it as well, and who fails
/// one of them is no longer on the way. Guarded by DiskCore::mutex.
struct Arrival {
  BlockIndex block{};
  std::size_t member = 0;
  Session session{};
  std::uint64_t forward_from = 0;  ///< this sequence and later go there too
  bool failed = false;             ///< it may lack something
  bool committing = false;         ///< ZooKeeper is told that it is in sync: it may be, from now on
};

/// Which blocks of a replica that is being filled have to be copied (again), while nothing is
/// forwarded to it: those that were not copied yet, or changed since. Guarded by DiskCore::mutex.
struct FillMap {
  std::size_t member = 0;
  std::vector<bool> stale;  ///< by block; those beyond its end are
};

/// What the guest's next flush still has to cover or to report, when one grant of the lease follows
/// another on the same host (rule 3).
struct Owed {
  struct Node {
    std::string boot_id;     ///< at its last fence
    bool unflushed = false;  ///< has acknowledged changes that no flush has covered
    bool lost_writes = false;
  };
  std::map<NodeId, Node> nodes;
  std::vector<MapCache::View> map;  ///< of all blocks that were changed
  bool writes_lost = false;
};

struct DiskCounters {
  std::atomic<std::uint64_t> reads{0}, writes{0}, flushes{0}, discards{0};
  std::atomic<std::uint64_t> read_bytes{0}, written_bytes{0};
  std::atomic<std::uint64_t> hedged_reads{0};  ///< reads that were asked of a second replica
  std::atomic<std::uint64_t> read_errors{0}, write_errors{0};
  std::atomic<std::uint64_t> healed_blocks{0}, healed_bytes{0};
  SizeHistogram read_sizes, write_sizes;
  std::atomic<std::uint64_t> damaged_units{0}, repaired_units{0};  ///< 4 KiB each
};

/// What the parts of an attached disk share: one grant of its lease, one epoch.
///
/// Lock order: record_mutex, then mutex. `mutex` is never held across a wait.
struct DiskCore {
  /// `owed`: by the last grant on this host to handles that go on.
  DiskCore(DiskServices given_services, DiskOptions given_options, Catalog::Taken taken,
           const Owed& owed = {});

  // -- constant after construction
  DiskServices services;
  DiskOptions options;
  Lease lease;
  DiskId id;
  std::vector<MapCache::View> owed_map;  ///< Owed::map
  const std::uint32_t block_size_bytes;

  // -- with locks of their own
  Notifier changed;  ///< sessions, members, record, or the end
  RangeLocks locks;
  MapCache map;
  TaskScope tasks;
  AsyncMutex record_mutex;    ///< serialises changes of the record
  AsyncMutex snapshot_mutex;  ///< serialises what makes and ends snapshots; before record_mutex
  DiskCounters counters;
  std::atomic<std::uint64_t> size_bytes;  ///< as in the record

  std::mutex mutex;
  // -- guarded by mutex
  DiskEntry entry;
  MemberTable members;
  /// What changes go to. The record may know of a later one, reserved for the next snapshot.
  Generation head{1};
  /// Generations that are being frozen and have no name yet: nodes keep what they see.
  std::vector<Generation> freezing;
  /// Grows when the operator gives the disk a new node, and never moves: what is in it may be used
  /// without the mutex as far as its members' rules allow.
  std::vector<std::unique_ptr<Replica>> replicas;
  std::vector<std::shared_ptr<Arrival>> arrivals;
  std::vector<std::shared_ptr<FillMap>> fill_maps;
  std::uint64_t last_sequence = 0;
  std::uint64_t announced_bytes = 0;  ///< size that nodes are told: at least the record's
  bool started = false;               ///< the first fences and the reconciliation are done
  bool writes_lost = false;           ///< acknowledged changes are gone: the next flush fails
  std::optional<Error> stopped;       ///< set once: nothing is served any more
  std::set<std::size_t> heal_wanted;  ///< members whose healing was asked for by hand

  std::string name();
  Geometry geometry() const { return {size_bytes.load(), block_size_bytes}; }
  std::size_t member_count();
  Sequence next_sequence();
  /// Takes the record over, with members that are new. Call with mutex held.
  void adopt_locked(DiskEntry taken);
  /// What nodes are to know of the generations. Call with mutex held.
  pb::History history_locked() const;
  Owed owed();
  /// The map of every block that may have changes which no flush has covered.
  std::vector<MapCache::View> changed_map() const;
  std::optional<Error> stop_reason();
  bool stopped_now() { return stop_reason().has_value(); }
  /// Ends service under this epoch; `error` is what everybody waiting gets.
  void stop(Error error);
  /// Names the session in a control call. Call with mutex held.
  pb::SessionRef ref(const Replica& replica) const;
  TimePoint now() const { return services.scheduler.now(); }

  /// A request under `session` failed: that session is over. Notes the error for the operator.
  void session_failed(std::size_t index, Session session, const Error& error);

 private:
  void add_replicas_locked();
};

}  // namespace ukai
