# SPDX-License-Identifier: BSD-2-Clause
"""A real Cinder from Debian's packages on loopback: MariaDB, RabbitMQ, API, scheduler, volume and
backup services. All state is under one folder, all ports are its own, nothing else is touched."""
from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from cluster import binary, run, wait_until
from devcluster_lib import network

HERE = Path(__file__).resolve().parent
DRIVER = HERE.parents[2] / "tools" / "cinder"
RABBIT = next(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"), None)
PYTHON = "/usr/bin/python3"
SERVICE_DOWN_SECONDS = 12
FAR_ZONE = "island"  # of the second back end; the first is in Cinder's default zone


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stack:
    """Used by one thread. `metadata` is UKAI's."""

    def __init__(self, folder: Path, metadata: str) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        names = ("database", "rabbit", "rabbit_dist", "epmd", "api", "glance")
        self.ports = dict(zip(names, network.free_ports(len(names))))
        for name in ("locks", "state", "images", "backups", "convert", "rabbit-plugins"):
            (folder / name).mkdir()
        (folder / "cinder.conf").write_text(self._config(metadata))

    # -- life

    def up(self) -> None:
        self._start_database()
        self._start_rabbit()
        self.start("glance", PYTHON, str(HERE / "glance.py"), str(self.ports["glance"]),
                   str(self.folder / "images"))
        self._wait(lambda: answers(self.ports["database"]), "database")
        self._create_database()
        self._wait(lambda: answers(self.ports["rabbit"]), "rabbit")
        for name in ("api", "scheduler", "volume", "backup"):
            self.start_cinder(name)
        self._wait(lambda: answers(self.ports["api"]), "api")

    def down(self) -> None:
        for name in reversed(list(self.processes)):
            self.kill(name)
        for mount in (self.folder / "state" / "mnt").glob("*"):  # os-brick leaves it
            subprocess.run(["umount", "--lazy", str(mount)], capture_output=True)
        subprocess.run(["epmd", "-port", str(self.ports["epmd"]), "-kill"], capture_output=True)

    def start(self, name: str, *command: str, **environment: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                cwd=self.folder, env={**os.environ, **environment})

    def start_cinder(self, name: str) -> None:
        self.start(name, PYTHON, f"/usr/bin/cinder-{name}", "--config-file",
                   str(self.folder / "cinder.conf"), PYTHONPATH=str(DRIVER),
                   PATH="/usr/sbin:/usr/bin:/sbin:/bin")

    def kill(self, name: str, sig: int = signal.SIGKILL) -> None:
        """The whole session of the process: Cinder's services have children."""
        process = self.processes.pop(name)
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            pass
        process.wait(timeout=60)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _wait(self, condition: Callable[[], bool], name: str) -> None:
        def ready() -> bool:
            status = self.processes[name].poll()
            assert status is None, f"{name} ended with {status}:\n{self.log(name)[-3000:]}"
            return condition()

        wait_until(ready, f"{name} serves", 120)

    # -- the parts

    def _start_database(self) -> None:
        data = self.folder / "database"
        run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root",
             "--auth-root-authentication-method=normal", "--skip-test-db"])
        self.start("database", "mariadbd", "--no-defaults", f"--datadir={data}", "--user=root",
                   f"--socket={self.folder}/database.sock", "--bind-address=127.0.0.1",
                   f"--port={self.ports['database']}", "--innodb-flush-log-at-trx-commit=0",
                   f"--pid-file={self.folder}/database.pid")

    def _create_database(self) -> None:
        run(["mariadb", "--no-defaults", f"--socket={self.folder}/database.sock", "-u", "root",
             "-e", "CREATE DATABASE cinder CHARACTER SET utf8; "
                   "CREATE USER cinder@localhost IDENTIFIED BY 'cinder'; "
                   "GRANT ALL ON cinder.* TO cinder@localhost"])
        run([PYTHON, "/usr/bin/cinder-manage", "--config-file",
             str(self.folder / "cinder.conf"), "db", "sync"])

    def sql(self, query: str) -> list[list[str]]:
        """Rows of Cinder's database, for what the API does not show."""
        done = run(["mariadb", "--no-defaults", f"--socket={self.folder}/database.sock", "-u",
                    "root", "-N", "-B", "-e", query, "cinder"])
        return [line.split("\t") for line in done.stdout.splitlines()]

    def _start_rabbit(self) -> None:
        assert RABBIT, "rabbitmq-server is not installed"
        config = self.folder / "rabbit.conf"
        config.write_text(f"listeners.tcp.1 = 127.0.0.1:{self.ports['rabbit']}\n")
        (self.folder / "rabbit-plugins" / "enabled").write_text("[].\n")
        epmd = {"ERL_EPMD_PORT": str(self.ports["epmd"]), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self.start("epmd", "epmd", "-port", str(self.ports["epmd"]), "-address", "127.0.0.1")
        self._wait(lambda: answers(self.ports["epmd"]), "epmd")
        self.start("rabbit", str(RABBIT), **epmd, HOME=str(self.folder),
                   RABBITMQ_CONF_ENV_FILE="/dev/null", RABBITMQ_CONFIG_FILE=str(config),
                   RABBITMQ_NODENAME=f"ukai{os.getpid()}@localhost",
                   RABBITMQ_DIST_PORT=str(self.ports["rabbit_dist"]),
                   RABBITMQ_MNESIA_BASE=str(self.folder / "rabbit-data"),
                   RABBITMQ_LOG_BASE=str(self.folder / "rabbit-log"),
                   RABBITMQ_PID_FILE=str(self.folder / "rabbit.pid"),
                   RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "rabbit-plugins" / "enabled"))

    # -- configuration

    def _config(self, metadata: str) -> str:
        common = f"""volume_driver = cinder_ukai.driver.UkaiDriver
ukai_metadata = {metadata}
ukai_ctl_path = {binary('ukaictl')}
ukai_host_names = {socket.gethostname()}:h1
ukai_timeout = 5
ukai_check_interval = 2
image_volume_cache_enabled = true
"""
        return f"""[DEFAULT]
auth_strategy = noauth
api_paste_config = /etc/cinder/api-paste.ini
rootwrap_config = /etc/cinder/rootwrap.conf
state_path = {self.folder}/state
image_conversion_dir = {self.folder}/convert
transport_url = rabbit://guest:guest@127.0.0.1:{self.ports['rabbit']}/
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = {self.ports['api']}
osapi_volume_workers = 1
glance_api_servers = http://127.0.0.1:{self.ports['glance']}
host = cinder
my_ip = 127.0.0.1
enabled_backends = both,far
default_volume_type = __DEFAULT__
quota_volumes = -1
quota_snapshots = -1
quota_gigabytes = -1
quota_backups = -1
quota_backup_gigabytes = -1
report_interval = 3
service_down_time = {SERVICE_DOWN_SECONDS}
backend_stats_polling_interval = 5
periodic_interval = 5
periodic_fuzzy_delay = 0
enable_force_upload = true
cinder_internal_tenant_project_id = internal
cinder_internal_tenant_user_id = internal
backup_driver = cinder.backup.drivers.posix.PosixBackupDriver
backup_posix_path = {self.folder}/backups
backup_file_size = 52428800
backup_sha_block_size_bytes = 32768
backup_workers = 1
[database]
connection = mysql+pymysql://cinder:cinder@127.0.0.1:{self.ports['database']}/cinder
[oslo_concurrency]
lock_path = {self.folder}/locks
[coordination]
backend_url = file://{self.folder}/locks
[key_manager]
backend = cinder.keymgr.conf_key_mgr.ConfKeyManager
fixed_key = {'5a' * 32}
[both]
volume_backend_name = both
ukai_sites = dev
ukai_replicas = 2
{common}
[far]
volume_backend_name = far
backend_availability_zone = {FAR_ZONE}
ukai_sites = dev/site3,dev/site4
ukai_replicas = 1
ukai_connection_type = nfs
{common}"""


if __name__ == "__main__":
    # stack.py FOLDER METADATA: runs until Ctrl-C, to look at it by hand.
    stack = Stack(Path(sys.argv[1]), sys.argv[2])
    try:
        stack.up()
        print(stack.ports)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        while True:
            time.sleep(1)
    finally:
        stack.down()
