// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/host_config.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/config.h"

namespace ukai {
namespace {

using namespace std::chrono_literals;

ConfigReader::Limits between(std::int64_t min, std::int64_t max) {
  ConfigReader::Limits limits;
  limits.min = min;
  limits.max = max;
  return limits;
}

void read_host(ConfigReader& config, HostConfig& out) {
  out.id = config.string("host.id");
  if (auto id = parse_id(out.id, "host"); !id && !out.id.empty()) {
    config.reject("host.id", id.error().what);
  }
  out.site = config.string("host.site", std::string());
  out.state_dir = config.string("host.state_dir", "/var/lib/ukai/" + out.id);
  out.fuse.mount_point = config.string("host.mount_point");
  for (const auto& [key, path] : {std::pair("host.state_dir", &out.state_dir),
                                  std::pair("host.mount_point", &out.fuse.mount_point)}) {
    if (!path->empty() && path->front() != '/') config.reject(key, "must be an absolute path");
  }
  out.listen = read_listen_options(config, "host");
}

void read_fuse(ConfigReader& config, FuseOptions& out) {
  constexpr std::int64_t id_max = std::numeric_limits<uid_t>::max() - 1;  // the last means "none"
  out.allow_other = config.boolean("fuse.allow_other", out.allow_other);
  out.default_permissions = config.boolean("fuse.default_permissions", out.default_permissions);
  out.allow_nonempty = config.boolean("fuse.allow_nonempty", out.allow_nonempty);
  out.subtype = config.string("fuse.subtype", out.subtype);
  const auto is_plain = [](char c) { return std::islower(c) || std::isdigit(c) || c == '_'; };
  if (out.subtype.empty() || out.subtype.size() > 32 ||
      !std::all_of(out.subtype.begin(), out.subtype.end(), is_plain)) {
    config.reject("fuse.subtype", "must be 1 to 32 of a-z, 0-9 and _");
  }
  out.uid = static_cast<uid_t>(config.integer("fuse.uid", between(0, id_max), out.uid));
  out.gid = static_cast<gid_t>(config.integer("fuse.gid", between(0, id_max), out.gid));
  out.mode = config.octal("fuse.mode", out.mode);
  if (out.mode > 0777) config.reject("fuse.mode", "must be at most \"0777\"");
  out.max_background = static_cast<unsigned>(
      config.integer("fuse.max_background", between(1, 1024), out.max_background));
  out.threads = static_cast<unsigned>(config.integer("fuse.threads", between(1, 2), out.threads));
  out.list_snapshots = config.boolean("fuse.list_snapshots", out.list_snapshots);
  out.kernel_cache =
      config.choice("fuse.cache", {"direct", "kernel"}, std::string("direct")) == "kernel";
}

void read_disk(ConfigReader& config, DiskOptions& out) {
  out.io_deadline = config.duration("disk.io_deadline", out.io_deadline);
  if (out.io_deadline < 10ms) config.reject("disk.io_deadline", "must be at least \"10ms\"");
  out.io_wait = config.duration("disk.io_wait", out.io_wait);
  if (out.io_wait < out.io_deadline) {
    config.reject("disk.io_wait", "must not be shorter than disk.io_deadline");
  }
  out.auto_heal = config.boolean("disk.auto_heal", out.auto_heal);
  out.heal_rate_bytes_per_s = config.size("disk.heal_rate", out.heal_rate_bytes_per_s);
  out.lease_linger = config.duration("disk.lease_linger", out.lease_linger);
  out.hand_over_wait = config.duration("disk.hand_over_wait", out.hand_over_wait);
}

}  // namespace

Result<HostConfig> load_host_config(const std::string& path) {
  auto config = ConfigReader::load(path);
  if (!config) return config.error();
  HostConfig out;
  read_host(*config, out);
  read_fuse(*config, out.fuse);
  read_disk(*config, out.disk);
  if (config->has_section("node")) {
    out.node = read_node_options(*config);
    out.node->site = out.site;
  }
  out.metadata = read_metadata_options(*config);
  out.log = read_log_options(*config);
  if (auto good = config->finish(); !good) return good.error();
  out.disk.host = HostId(out.id);
  out.disk.site = out.site;
  return out;
}

}  // namespace ukai
