"""Starting Ray in the background, and stopping only what was started."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from automl.errors import EngineError
from automl.search.engines.ray import cleanup_process as ray_watcher
from automl.search.engines.ray.auth_token import forget_token, token_in_force
from automl.search.engines.ray.signals import out_of_the_group, sigterm_kept

WORKER_ENVIRONMENT = {
    # OpenMP threads that spin while they wait slow their neighbours down manifold; read when torch loads.
    "OMP_WAIT_POLICY": "PASSIVE",
    "PL_DISABLE_FORK": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
QUIET_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ray prints on the standard output that a worker died, where `--json` has one object and nothing else;
    # the trial's cause tells it. This drops such lines, and is read when Ray is imported.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
FOLDER, TUNE_FOLDER = "automl-ray-", "automl-tune-"  # then the process that made it
OBJECT_STORE_BYTES = 100 * 1024 * 1024

# Ray is one per process: how many runtimes use it, so that it goes down after the last, and none starts
# meanwhile.
_shared = threading.Condition()
_users = 0


class RayRuntime:
    """Ray on this machine, or a connection to a cluster: `start` returns at once, `wait` when it is there.

    If Ray is initialised in this process already, that is used and left as it is. Otherwise Ray is started by
    a thread that stays until `stop`: Ray's processes are tied to the thread that made them and die with it.
    Workers run at normal priority (Ray's own default is niceness 15).
    """

    def __init__(self, address: str | None = None, *, cpus: int | None = None) -> None:
        self._address = address
        self._cpus = cpus
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._leave = threading.Event()
        self._error: BaseException | None = None

    def start(self) -> Self:
        """Begins to start Ray; a second call changes nothing."""
        if self._thread is None:
            # A daemon with an exit handler, not an ordinary thread: Python would wait for that one before it
            # ran any handler, and a program that ended without `stop` would hang.
            self._thread = threading.Thread(target=self._live, name="automl-ray", daemon=True)
            self._thread.start()
            atexit.register(self.stop)
        return self

    def wait(self, seconds: float | None = None) -> bool:
        """Until Ray is there, or for so many seconds; whether it is. Raises EngineError if it did not start."""
        self.start()
        if not self._ready.wait(seconds):
            return False
        if self._error is not None:
            if self._address is None:
                raise EngineError(
                    f"Ray must start on this machine, but did not: {self._error}"
                ) from self._error
            raise EngineError(
                f"Ray must be reached at {self._address!r}, and was not: {self._error}; where the cluster asks for "
                "a token, RAY_AUTH_MODE=token and the token must be given here too"
            ) from self._error
        return True

    def stop(self, *, wait: bool = True) -> None:
        """Stops what `start` started. `wait` False: it goes down in the background."""
        self._leave.set()
        if self._thread is not None and wait:
            self._thread.join()
            atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _live(self) -> None:
        global _users
        session, started = None, False
        with _shared:
            try:
                session, started = self._begin()
                # Seconds that the search would otherwise spend after Ray is up.
                import_module("automl.search.engines.ray.tune_bridge")
                _users += 1
            except BaseException as error:
                self._error = error
                return
            finally:
                self._ready.set()
        self._leave.wait()
        with _shared:
            _users -= 1
            _shared.notify_all()
            if started:
                # Others may have found this Ray running: it goes down after the last of them.
                _shared.wait_for(lambda: _users == 0)
                _shut_down(session)

    def _begin(self) -> tuple[Session | None, bool]:
        """Starts or joins Ray; gives the session that it made, and whether Ray has to be shut down."""
        with environment_set(QUIET_ENVIRONMENT):
            import ray  # sets up Ray's loggers, so that they can be quieted only from here on

        if ray.is_initialized():
            return None, False
        options: dict[str, Any] = {
            "log_to_driver": False,
            "configure_logging": False,
            "logging_level": logging.CRITICAL,
            "runtime_env": {"env_vars": WORKER_ENVIRONMENT},
        }
        session = None
        if self._address is not None:
            options["address"] = self._address
        else:
            sweep(Path(_short_place() or tempfile.gettempdir()))
            session = Session(_short_place())
            options |= {
                # Named, because Ray would else join the cluster of RAY_ADDRESS, which nobody asked for.
                "address": "local",
                "include_dashboard": False,
                "num_cpus": self._cpus,
                "object_store_memory": OBJECT_STORE_BYTES,
                # Private to `ray.init`: `_temp_dir` and `_system_config`. Without the first, Ray's sessions lie in
                # /tmp/ray, where other users can read them and nothing removes them after a kill; without the second,
                # workers yield to every other process and Ray starts one that nobody needs.
                "_temp_dir": str(session.inner),
                "_system_config": {"worker_niceness": 0, "prestart_worker_first_driver": False},
            }
        locked = nullcontext() if session is None else token_in_force(session.folder)
        with quiet_ray(), environment_set(QUIET_ENVIRONMENT), locked, sigterm_kept(), out_of_the_group():
            try:
                ray.init(**options)
            except BaseException:
                # What came up of it must not outlive this thread half-way.
                _shut_down(session)
                raise
        return session, True


class Session:
    """The folder of a Ray that was started here, and a process that cleans up should this one be killed."""

    def __init__(self, place: str | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=place))
        self.inner = (
            self.folder / "r"
        )  # Ray opens its own folder to everybody; the outer one stays this user's
        others = Path(tempfile.gettempdir()) / f"{TUNE_FOLDER}{os.getpid()}-"
        places = [str(self.folder), str(others), str(os.getpid())]
        command = [sys.executable, "-I", "-S", ray_watcher.__file__, *places]
        # A session of its own: what a terminal sends to the group of this process does not reach it.
        self._watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def close(self) -> None:
        """Ray is down: what is left of it goes at once."""
        for pid in ray_watcher.of_session(self.folder):
            ray_watcher.kill(pid)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._watcher.kill()
        self._watcher.communicate()


def _shut_down(session: Session | None) -> None:
    import ray

    with quiet_ray():
        ray.shutdown()
    if session is not None:
        session.close()
        forget_token()


@contextmanager
def quiet_ray() -> Iterator[None]:
    """Ray's loggers say nothing in this block."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.train")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def environment_set(values: Mapping[str, str]) -> Iterator[None]:
    """These environment variables hold in this block, unless they were set before."""
    added = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


def _short_place() -> str | None:
    """Paths of Unix sockets may have 107 characters, and Ray adds about 60."""
    return "/tmp" if Path("/tmp").is_dir() else None


def sweep(place: Path) -> None:
    """Removes what killed processes left behind: their folders, and the processes of their Ray."""
    for prefix in (FOLDER, TUNE_FOLDER):
        for folder in place.glob(f"{prefix}*"):
            owner = folder.name.removeprefix(prefix).partition("-")[0]
            if owner.isdigit() and not _alive(int(owner)):
                for pid in ray_watcher.of_session(folder):
                    ray_watcher.kill(pid)
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
