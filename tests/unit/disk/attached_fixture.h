// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include "disk/error_log.h"
#include "disk/requests.h"
#include "fake_link.h"
#include "unit/metadata/catalog_fixture.h"

namespace ukai::test {

inline DiskOptions fixture_options() {
  DiskOptions options;
  options.host = HostId("h1");
  options.io_deadline = std::chrono::milliseconds(700);
  return options;
}

/// An attached disk on n1 and n2 whose sessions 11 and 12 stand.
class AttachedFixture : public CatalogTest {
 protected:
  AttachedFixture() {
    for (std::size_t i = 0; i < 2; ++i) {
      links_.push_back(std::make_shared<FakeLink>());
      Replica& replica = *core_.replicas[i];
      replica.state = Replica::State::open;
      replica.session = Session{11 + i};
      replica.link = links_[i];
    }
  }
  ~AttachedFixture() override {
    bool stopped = false;
    spawn(clock_.stop(), [&] { stopped = true; });
    scheduler.run_for(std::chrono::seconds(5));
    EXPECT_TRUE(stopped);
  }

  std::vector<Target> targets(std::size_t count) {
    std::vector<Target> out;
    for (std::size_t i = 0; i < count; ++i) {
      Target target;
      target.index = i;
      target.session = core_.replicas[i]->session;
      target.link = links_[i];
      out.push_back(target);
    }
    return out;
  }
  bool open(std::size_t index) const {
    return core_.replicas[index]->state == Replica::State::open;
  }

  FakeDirectory nodes_;
  ErrorLog errors_;
  LeaseClock clock_{a.coordination, scheduler};
  DiskCore core_{DiskServices{a.catalog, nodes_, scheduler, clock_, errors_}, fixture_options(),
                 *take(a, create("vm"))};
  std::vector<std::shared_ptr<FakeLink>> links_;
};

}  // namespace ukai::test
