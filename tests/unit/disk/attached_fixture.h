// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "disk/error_log.h"
#include "disk/requests.h"
#include "fake_link.h"
#include "ukai/location_change.h"
#include "unit/metadata/catalog_fixture.h"

namespace ukai::test {

inline DiskOptions fixture_options() {
  DiskOptions options;
  options.host = HostId("h1");
  options.io_deadline = std::chrono::milliseconds(700);
  return options;
}

/// An attached disk on n1 and n2, or what the test makes of that, whose sessions 11, 12, … stand.
class AttachedFixture : public CatalogTest {
 protected:
  using Shape = std::function<LocationsChanged(LocationsChanged)>;

  explicit AttachedFixture(const Shape& shape = [](LocationsChanged disk) { return disk; })
      : shape_(shape) {
    for (std::size_t i = 0; i < core_.member_count(); ++i) {
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

  DiskId create_shaped() {
    LocationsChanged disk;
    disk.record = disk_record("vm", 64 * mib);
    disk.segments = disk_map(disk.record);
    disk = shape_(std::move(disk));
    EXPECT_TRUE(run(a.catalog.create_disk(disk.record, disk.segments)).ok());
    return *DiskId::parse(disk.record.id());
  }

  const Shape shape_;
  FakeDirectory nodes_;
  ErrorLog errors_;
  LeaseClock clock_{a.coordination, scheduler};
  DiskCore core_{DiskServices{a.catalog, nodes_, scheduler, clock_, errors_}, fixture_options(),
                 *take(a, create_shaped())};
  std::vector<std::shared_ptr<FakeLink>> links_;
};

}  // namespace ukai::test
