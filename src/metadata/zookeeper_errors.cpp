// SPDX-License-Identifier: BSD-2-Clause
#include "metadata/zookeeper_errors.h"

#include <zookeeper/zookeeper.h>

#include "metadata/znode_rules.h"

namespace ukai::zk {

Error to_error(int rc, std::string_view path, bool change) {
  switch (rc) {
    case ZNONODE:
      return znode_error(Code::not_found, path);
    case ZNODEEXISTS:
      return znode_error(Code::exists, path);
    case ZBADVERSION:
      return znode_error(Code::stale, path);
    case ZNOTEMPTY:
      return znode_error(Code::busy, path);
    case ZNOAUTH:
    case ZINVALIDACL:
    case ZAUTHFAILED:
    case ZSESSIONCLOSEDREQUIRESASLAUTH:
      return znode_error(Code::refused, path);
    case ZBADARGUMENTS:
    case ZNOCHILDRENFOREPHEMERALS:
    case ZMARSHALLINGERROR:
      return znode_error(Code::invalid, path);
    case ZCLOSING:
      return znode_error(Code::shut_down, path);
    // The server refused these without applying them.
    case ZSESSIONMOVED:
    case ZTHROTTLEDOP:
    case ZNOTREADONLY:
    case ZINVALIDSTATE:
      return znode_error(Code::unreachable, path);
    // A lost connection, an expired session (the answer may have been lost with it), and whatever
    // else a server may say: nobody knows whether a change was applied.
    default:
      return znode_error(change ? Code::unknown : Code::unreachable, path);
  }
}

bool worth_repeating(int rc) {
  switch (rc) {
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZTHROTTLEDOP:
    case ZINVALIDSTATE:
      return true;
    default:
      return false;
  }
}

}  // namespace ukai::zk
