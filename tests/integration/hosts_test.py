# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts, one disk: one writer, and readers that see what it wrote."""
from __future__ import annotations

import errno
import os

import pytest

from cluster import Cluster, wait_until
from files import MIB, pattern, read_at, write_at


def test_the_second_host_that_opens_for_writing_gets_ebusy(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    other = shared.mount("h2") / name
    holder = os.open(disk, os.O_RDWR)
    with pytest.raises(OSError) as raised:
        os.open(other, os.O_RDWR)
    assert raised.value.errno == errno.EBUSY
    again = os.open(disk, os.O_RDWR)  # on the same host it is allowed
    os.close(again)
    os.close(holder)
    shared.delete(name)


def test_the_second_host_writes_when_the_first_has_closed(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    other = shared.mount("h2") / name
    data = pattern(MIB)
    write_at(disk, 0, data)

    def opens() -> bool:
        try:
            os.close(os.open(other, os.O_RDWR))
            return True
        except OSError as error:
            assert error.errno == errno.EBUSY
            return False

    wait_until(opens, "h2 may write", 30)
    assert read_at(other, 0, MIB) == data
    write_at(other, MIB, data)
    assert read_at(disk, MIB, MIB) == data
    shared.delete(name)


def test_readers_on_another_host_see_each_acknowledged_write(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1,n2")
    fd = os.open(disk, os.O_RDWR)
    reader = os.open(shared.mount("h2") / name, os.O_RDONLY)
    for seed in range(100):
        data = pattern(4096, seed)
        os.pwrite(fd, data, 4 * MIB - 2048)
        assert os.pread(reader, 4096, 4 * MIB - 2048) == data
    os.close(reader)
    os.close(fd)
    shared.delete(name)


def test_a_killed_hosts_disk_is_taken_over(own: Cluster, name: str) -> None:
    disk = own.create(name, "16MiB", "n1,n2")
    other = own.mount("h2") / name
    data = pattern(8 * MIB)
    write_at(disk, MIB, data)
    holder = os.open(disk, os.O_RDWR)
    own.kill("h1")
    try:
        def taken() -> bool:
            try:
                os.close(os.open(other, os.O_RDWR))
                return True
            except OSError:
                return False
        wait_until(taken, "h2 may write", 30)
        assert read_at(other, MIB, 8 * MIB) == data
        write_at(other, 0, data[:MIB])
        own.verify(name)
    finally:
        try:
            os.close(holder)
        except OSError:
            pass  # its mount is gone
        own.start("h1")
    assert read_at(own.mount() / name, 0, MIB) == data[:MIB]
    own.delete(name)


def test_only_allowed_hosts_may_write(shared: Cluster, name: str) -> None:
    disk = shared.create(name, "16MiB", "n1")
    shared.ctl("disk", "hosts", name, "--allow", "h2")
    with pytest.raises(OSError) as raised:
        os.open(disk, os.O_RDWR)
    assert raised.value.errno in (errno.EACCES, errno.EBUSY, errno.EPERM)
    write_at(shared.mount("h2") / name, 0, b"x" * 4096)
    shared.delete(name)
