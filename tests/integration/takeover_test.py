# SPDX-License-Identifier: BSD-2-Clause
"""ukaid --takeover: another process goes on with the mount while its files are in use."""
from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from cluster import Cluster, binary, run, wait_until
from files import MIB, background, error_of, pattern, read_at, write_at
from migration import Attachment

QEMU_BYTE = 101
STALL_SECONDS = 12  # 4 s are the bound; machines of tests are slow
TAKEOVERS_MAX = 20  # in which another host may be late
# Writes 4 KiB pieces with O_DIRECT through one descriptor, reads some of them back, and says what
# it did when it is told to end. Each piece tells its place and how often it was written.
WRITER = """
import json, mmap, os, random, signal, sys, time
path, sectors = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDWR | os.O_DIRECT)
page, back = mmap.mmap(-1, 4096), mmap.mmap(-1, 4096)
ended, longest, wrong, written, dice = [], 0.0, [], {}, random.Random(5)
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
def content(sector, count):
    return f"{sector} {count} ".encode().ljust(64, b".") * 64
print("writing", flush=True)
while not ended:
    sector = dice.randrange(sectors)
    begun = time.monotonic()
    count = written.get(sector, 0) + 1
    page[:] = content(sector, count)
    assert os.pwrite(fd, page, sector * 4096) == 4096
    written[sector] = count
    looked = dice.choice(list(written))
    assert os.preadv(fd, [back], looked * 4096) == 4096
    if back[:] != content(looked, written[looked]):
        wrong.append(looked)
    if dice.random() < 0.02:
        os.fsync(fd)
    longest = max(longest, time.monotonic() - begun)
os.fsync(fd)
print(json.dumps({"longest": longest, "wrong": wrong, "written": written}), flush=True)
"""


def content(sector: int, count: int) -> bytes:
    return f"{sector} {count} ".encode().ljust(64, b".") * 64


def pid_of(cluster: Cluster, host: str = "h1") -> int:
    return int((cluster.home(host) / "pid").read_text())


def runs(pid: int) -> bool:
    """False also for one that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def config_of(cluster: Cluster) -> Path:
    words = Path(f"/proc/{pid_of(cluster)}/cmdline").read_text().split("\0")
    return Path(words[words.index("--config") + 1])


def take_over(cluster: Cluster) -> float:
    """The pause in milliseconds, as the old process has measured it."""
    old = pid_of(cluster)
    cluster.devcluster("takeover", "h1")
    assert pid_of(cluster) != old and not runs(old)
    told = [line for line in (cluster.home("h1") / "log").read_text().splitlines()
            if "event=handed_over" in line]
    return float(told[-1].split("took_ms=")[1])


def lock(fd: int, operation: int, kind: int, byte: int) -> int:
    """The kind of lock that the kernel answers with."""
    asked = struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
    return int(struct.unpack("hhqqi4x", fcntl.fcntl(fd, operation, asked))[0])


def locked_elsewhere(path: Path) -> bool:
    """As another process sees it."""
    script = ("import fcntl, os, struct, sys; fd = os.open(sys.argv[1], os.O_RDWR);"
              f"asked = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, {QEMU_BYTE}, 1, 0);"
              "print(struct.unpack('hhqqi4x', fcntl.fcntl(fd, 36, asked))[0])")  # F_OFD_GETLK
    return int(run([sys.executable, "-c", script, str(path)]).stdout) != fcntl.F_UNLCK


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def end_of(writer: "subprocess.Popen[str]", path: Path) -> float:
    """Ends the writer, compares all that it wrote, and returns its longest pause."""
    writer.send_signal(signal.SIGTERM)
    output, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0, output[-2000:]
    said = json.loads(output.splitlines()[-1])
    assert not said["wrong"] and len(said["written"]) > 50
    for sector, count in said["written"].items():
        assert read_at(path, int(sector) * 4096, 4096) == content(int(sector), count), sector
    return float(said["longest"])


def test_a_guest_only_pauses(own: Cluster, name: str) -> None:
    disk = own.create(name, "64MiB", "n1,n2")
    other = own.create(name + "-other", "16MiB", "n1,n3")
    write_at(disk, 0, pattern(MIB))
    own.ctl("snapshot", "create", f"{name}@s1")
    writer_command = [sys.executable, "-c", WRITER, str(disk), "2000"]
    with opened(other, os.O_RDWR) as kept, \
            opened(own.mount() / f"{name}@s1", os.O_RDONLY) as frozen, \
            background(writer_command) as writer:
        os.pwrite(kept, b"before", 0)
        assert lock(kept, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, QEMU_BYTE) == fcntl.F_RDLCK
        os.chmod(other, 0o640)
        inode = os.fstat(kept).st_ino
        time.sleep(1)
        pauses = []
        for number in range(3):
            pauses.append(take_over(own))
            # Handles and locks from before are what they were.
            assert os.pread(kept, 6, 0) == b"before"
            os.pwrite(kept, b"after!", 4096 * number)
            os.fsync(kept)
            assert os.pread(kept, 6, 4096 * number) == b"after!"
            os.pwrite(kept, b"before", 0)
            assert os.pread(frozen, MIB, 0) == pattern(MIB)
            assert locked_elsewhere(other)
            assert (os.stat(other).st_ino, os.stat(other).st_mode & 0o777) == (inode, 0o640)
            fresh = own.create(f"{name}-{number}", "4MiB", "n2")
            write_at(fresh, 0, b"x" * 4096)
            time.sleep(0.5)
        assert lock(kept, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, QEMU_BYTE) == fcntl.F_UNLCK
        assert not locked_elsewhere(other)
        longest = end_of(writer, disk)
    print(f"takeovers took {pauses} ms; the longest I/O {longest * 1000:.0f} ms", file=sys.stderr)
    assert longest < STALL_SECONDS, pauses
    own.verify(name)
    own.verify(other.name)


def refused(cluster: Cluster, changes: dict[str, str]) -> str:
    """What a successor with another configuration says when it fails: one line."""
    text = config_of(cluster).read_text()
    for key, value in changes.items():
        text, count = re.subn(f"(?m)^{key} = .*$", f'{key} = "{value}"', text)
        assert count == 1, key
    other = cluster.home("h1") / "other.conf"
    other.write_text(text)
    done = run([binary("ukaid"), "--config", str(other), "--takeover"], 1)
    lines = [line for line in done.stderr.splitlines() if line.startswith("ukaid: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_successor_that_fails_leaves_the_mount_to_who_has_it(own: Cluster, name: str,
                                                               tmp_path: Path) -> None:
    disk = own.create(name, "64MiB", "n1,n2")
    old = pid_of(own)
    (tmp_path / "state").mkdir()
    (tmp_path / "mnt").mkdir()
    with background([sys.executable, "-c", WRITER, str(disk), "2000"]) as writer:
        assert "no running ukaid" in refused(own, {"state_dir": str(tmp_path / "state")})
        assert "host.mount_point" in refused(own, {"mount_point": str(tmp_path / "mnt")})
        # It has the mount already, but cannot have an address; the old one has ended all but it.
        assert "192.0.2.1" in refused(own, {"control_listen": "192.0.2.1:7101"})
        assert runs(old)
        write_at(disk, 32 * MIB, pattern(MIB))
        assert read_at(disk, 32 * MIB, MIB) == pattern(MIB)
        # The next one does it, and the one after that sees how it ends.
        with (own.home("h1") / "log").open("ab") as log, subprocess.Popen(
                [binary("ukaid"), "--config", str(config_of(own)), "--takeover"],
                stdout=log, stderr=log) as successor:
            wait_until(lambda: not runs(old), "the old process has ended", 60)
            (own.home("h1") / "pid").write_text(f"{successor.pid}\n")
            own.devcluster("takeover", "h1")
            assert successor.wait(60) == 0
        longest = end_of(writer, disk)
    assert longest < STALL_SECONDS
    own.verify(name)


def test_a_host_that_stores_data_is_taken_over_with_its_node(new_cluster: Callable[..., Cluster],
                                                             name: str) -> None:
    cluster = new_cluster("--nodes", "1", "--hosts", "1", "--local")
    disk = cluster.create(name, "64MiB", "h1,n1")
    with background([sys.executable, "-c", WRITER, str(disk), "2000"]) as writer:
        time.sleep(1)
        for _ in range(2):
            take_over(cluster)
            time.sleep(0.5)
        longest = end_of(writer, disk)
    assert longest < STALL_SECONDS
    cluster.wait_healthy(name)
    cluster.verify(name)
    # Whoever has the mount at the end takes it away.
    cluster.devcluster("down")
    assert not os.path.ismount(cluster.mount())
    cluster.devcluster("up")
    assert read_at(disk, 0, 4096)


def meanwhile(cluster: Cluster, work: Callable[[], None]) -> None:
    """Takes h1 over, and does `work` again and again until that is done."""
    with ThreadPoolExecutor(1) as operator:
        done = operator.submit(take_over, cluster)
        while not done.done():
            work()
        done.result()


def is_dead(fd: int) -> bool:
    """It may read, but neither write nor flush. It is told at once: it does not ask whoever has the
    disk to hand it over, which takes 30 s."""
    begun = time.monotonic()
    errors = {error_of(lambda: os.pwrite(fd, b"stale", 0)), error_of(lambda: os.fdatasync(fd))}
    return errors == {errno.EIO} and time.monotonic() - begun < STALL_SECONDS


def test_a_handle_dies_if_another_host_has_the_disk_meanwhile(own: Cluster, name: str) -> None:
    """The lease is free while the mount passes on. Who takes it then is the writer."""
    disk = own.create(name, "16MiB", "n1,n2")
    kept = os.open(disk, os.O_RDWR)
    taken: list[int] = []

    def take() -> None:
        if taken:
            return
        try:
            taken.append(os.open(own.mount("h2") / name, os.O_RDWR))
        except OSError as error:
            assert error.errno == errno.EBUSY, error

    for turn in range(TAKEOVERS_MAX):
        os.pwrite(kept, b"first %02d" % turn, 0)
        meanwhile(own, take)
        if taken:
            break
    assert taken, "the other host never was first"
    second = taken[0]
    assert os.pread(second, 8, 0) == b"first %02d" % turn
    os.pwrite(second, b"second", 0)
    assert is_dead(kept)
    assert os.pread(kept, 6, 0) == b"second"
    os.close(second)
    wait_until(lambda: own.info(name)["holder"] is None, "nobody has it", 30)
    assert is_dead(kept)
    with opened(disk, os.O_RDWR) as fresh:
        os.pwrite(fresh, b"third!", 0)
    take_over(own)
    assert is_dead(kept), "dead handles stay so"
    assert os.pread(kept, 6, 0) == b"third!"
    error_of(lambda: os.close(kept))
    own.verify(name)


def test_a_guest_that_has_left_does_not_come_back(own: Cluster, name: str) -> None:
    """Its QEMU has let the disk go, so that the new process takes no lease for it. Another host
    reads meanwhile, and then goes on as the writer under the lease that it has read with."""
    disk = own.create(name, "16MiB", "n1,n2")
    own.ctl("disk", "hosts", name, "--allow", "h1", "--allow", "h2")
    source, target = Attachment(disk, True), Attachment(own.mount("h2") / name)
    source.write(0, b"first")
    source.stop()
    source.inactivate()

    def read() -> None:
        assert target.read(0, 5) == b"first"

    for _ in range(TAKEOVERS_MAX):
        meanwhile(own, read)
        lease = own.json("lease", "show", name)
        if lease["holder"] == "h2":
            break
    assert (lease["holder"], lease["type"]) == ("h2", "job"), lease
    target.activate()
    target.write(0, b"second")
    assert own.json("lease", "show", name)["epoch"] == lease["epoch"], "it is the same lease"
    target.close()
    wait_until(lambda: own.info(name)["holder"] is None, "nobody has it", 30)
    assert error_of(lambda: source.write(0, b"stale")) == errno.EIO
    assert error_of(source.stop) == errno.EIO
    assert source.read(0, 6) == b"second"
    error_of(source.close)
    own.verify(name)
