"""A PostgreSQL server of one's own, which is gone afterwards; it runs as an unprivileged user even for root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PASSWORD = "s3cret/p@ss"


def binaries() -> Path | None:
    """The folder with the server's programs; Debian keeps them off the PATH."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return places[-1].parent if places else None


@dataclass(frozen=True)
class Server:
    """A running server on 127.0.0.1, reached with a password."""

    folder: Path
    programs: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        """What `--storage` takes."""
        return f"postgresql://automl:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts it and waits until it answers. fsync stays on: figures should be honest."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c shared_buffers=64MB"
        self._run(
            "pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stops it; `immediate` is what a crash is like."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def create_database(self, name: str) -> str:
        """A new database; its URL."""
        self._run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", "automl", name)
        return self.url(name)

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_user(), str(self.programs / program), *arguments]
        environment = {**os.environ, "PGPASSWORD": PASSWORD, "LC_ALL": "C"}
        # Not to pipes: the server would inherit them, and reading them would never end.
        with (self.folder / "output").open("a+") as output:
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd=self.folder, env=environment, check=False
            )
            if done.returncode != 0:
                output.seek(0)
                raise RuntimeError(f"{program} failed: {output.read()}")


@contextmanager
def serve() -> Iterator[Server]:
    """A fresh server, for as long as the block lasts."""
    programs = binaries()
    if programs is None:
        raise RuntimeError("there is no PostgreSQL server on this machine: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="automl-pg-", dir="/tmp"))  # paths of sockets must be short
    server = Server(folder, programs, _free_port())
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        if os.getuid() == 0:
            for path in (folder, secret):
                shutil.chown(path, "postgres", "postgres")
        server._run(
            "initdb", "-D", str(server.data), "-U", "automl", "-A", "scram-sha-256", "--pwfile", str(secret)
        )
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_user() -> list[str]:
    return ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
