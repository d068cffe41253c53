// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/common_options.h"

#include "metadata/metadata_address.h"
#include "rpc/channels.h"

namespace ukai {
namespace {

using std::chrono::milliseconds;

/// The address under `key`, checked.
HostPort read_address(ConfigReader& config, const std::string& key,
                      std::optional<std::string> fallback) {
  const std::string text = config.string(key, std::move(fallback));
  auto address = parse_address(text);
  if (!address) {
    if (!text.empty()) config.reject(key, address.error().what);
    return {};
  }
  return *address;
}

bool is_wildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

}  // namespace

ZooKeeperOptions read_metadata_options(ConfigReader& config) {
  ZooKeeperOptions options;
  options.address = config.string("metadata.servers");
  if (!options.address.empty()) {
    auto address = parse_metadata_address(options.address);
    if (!address) config.reject("metadata.servers", address.error().what);
  }
  ConfigReader::Limits timeout;
  timeout.min = 1000;
  timeout.max = 120'000;
  const auto fallback = std::chrono::duration_cast<milliseconds>(options.session_timeout).count();
  options.session_timeout =
      milliseconds(config.integer("metadata.session_timeout_ms", timeout, fallback));
  return options;
}

log::Options read_log_options(ConfigReader& config) {
  log::Options options;
  const std::string level =
      config.choice("log.level", {"debug", "info", "warn", "error"}, std::string("info"));
  if (auto parsed = log::parse_level(level)) options.level = *parsed;
  options.file = config.string("log.file", std::string());
  return options;
}

std::string ListenOptions::published(const std::string& listen, std::uint16_t port) const {
  auto address = parse_address(listen);
  HostPort out = address ? *address : HostPort{};
  if (!advertise.empty()) out.host = advertise;
  out.port = port;
  return format_address(out);
}

ListenOptions read_listen_options(ConfigReader& config, const std::string& section) {
  ListenOptions options;
  options.advertise = config.string(section + ".advertise", std::string());
  const HostPort data = read_address(config, section + ".listen", std::nullopt);
  HostPort any = data;
  any.port = 0;
  if (any.host.empty()) any.host = "localhost";  // `listen` is what is wrong, and said so already
  const HostPort control = read_address(config, section + ".control_listen", format_address(any));
  if (options.advertise.empty() && (is_wildcard(data.host) || is_wildcard(control.host))) {
    config.reject(section + ".advertise",
                  "is needed, because nobody can be reached at a wildcard address");
  }
  options.data = format_address(data);
  options.control = format_address(control);
  return options;
}

}  // namespace ukai
