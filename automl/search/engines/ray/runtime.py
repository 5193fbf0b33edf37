"""Starting Ray in the background, and stopping only what was started."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from automl.errors import EngineError
from automl.interrupt import current_command
from automl.machine import ensure_home, is_alive
from automl.search.engines.ray import cleanup_process
from automl.search.engines.ray.auth_token import forget_token, token_in_force
from automl.search.engines.ray.failed_starts import cause_of_failed_starts
from automl.search.engines.ray.signals import out_of_the_group, sigterm_kept
from automl.spaces.architectures.factories import WORKING_FOLDER

WORKER_ENVIRONMENT = {
    # OpenMP threads that spin while they wait slow other processes down. Read when torch loads.
    "OMP_WAIT_POLICY": "PASSIVE",
    "PL_DISABLE_FORK": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
QUIET_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Drops the lines in which Ray prints to stdout that a worker died: with `--json`, stdout holds one object only, and
    # the trial's cause says it. Read when Ray is imported.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
# What the first import of Ray changes in its process: a variable, and a folder that it puts on the path.
CLIENT_MODE, VENDORED = "RAY_CLIENT_MODE", "thirdparty_files"
RAY_THREAD = "automl-ray"
FOLDER, TUNE_FOLDER = "automl-ray-", "automl-tune-"  # followed by the id of the process that made it
LONGEST_SOCKET = 107  # characters of the path of a Unix socket
LONGEST_INSIDE = (
    f"/{FOLDER}-12345678/r/session_2026-11-29_09-15-20_123456_/sockets/plasma_store"  # and two process ids
)
OTHER_PLACES = ("/var/tmp", "/dev/shm")
LONGEST_STOP = 30.0  # seconds to wait until Ray is down
OBJECT_STORE_BYTES = 100 * 1024 * 1024

# A process has one Ray: how many runtimes use it, so that it goes down after the last one, and none starts meanwhile.
_shared = threading.Condition()
_users = 0


class RayRuntime:
    """Ray on this machine, or a connection to a cluster. `start` returns at once, `wait` when Ray is up.

    A Ray that this process has initialised already is used and left as it is. Otherwise a thread starts Ray and stays
    until `stop`, because Ray's processes die with the thread that made them. Workers run at normal priority (Ray's own
    default is niceness 15).
    """

    def __init__(self, address: str | None = None, *, cpus: int | None = None) -> None:
        self._address = address
        self._cpus = cpus
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._leave = threading.Event()
        self._error: BaseException | None = None
        self._session: Session | None = None

    def start(self) -> Self:
        """Begin to start Ray. A second call changes nothing."""
        if self._thread is None:
            ensure_home()
            # A daemon thread with an exit handler: Python waits for an ordinary thread before it runs any handler, so
            # that a program that ends without `stop` would hang.
            self._thread = threading.Thread(target=self._live, name=RAY_THREAD, daemon=True)
            self._thread.start()
            atexit.register(self.stop)
        return self

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until Ray is up, or for so many seconds. Return whether it is up; raises EngineError if it failed."""
        self.start()
        if not self._ready.wait(seconds):
            return False
        if self._error is not None:
            if self._address is None:
                raise EngineError(f"Ray did not start on this machine: {self._error}") from self._error
            raise EngineError(
                f"Ray could not be reached at {self._address!r}: {self._error}; if the cluster asks for a token, set "
                "RAY_AUTH_MODE=token and the token here, too"
            ) from self._error
        return True

    def stop(self, *, wait: bool = True, seconds: float | None = None) -> None:
        """Stop what `start` started. `wait` False: it goes down in the background, as it does after `seconds`.

        It never waits for more than LONGEST_STOP seconds: Ray may hang.
        """
        self._leave.set()
        if self._thread is not None and wait:
            self._thread.join(LONGEST_STOP if seconds is None else max(0.0, min(seconds, LONGEST_STOP)))
            if not self._thread.is_alive():
                atexit.unregister(self.stop)
            elif self._session is not None:
                self._session.expect_end()

    def failed_starts(self) -> str | None:
        """Return the error of worker processes that ended before they ran anything; None if it cannot be seen here."""
        return None if self._session is None else cause_of_failed_starts(self._session.folder)

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
                if not self._leave.is_set():
                    # Takes seconds, which the search would otherwise spend after Ray is up.
                    import_module("automl.search.engines.ray.tune_bridge")
                _users += 1
            except BaseException as error:
                self._error = error
                if started:
                    _shut_down(session)
                return
            finally:
                self._ready.set()
        self._leave.wait()
        with _shared:
            _users -= 1
            _shared.notify_all()
            if started:
                # Other runtimes may use this Ray: it goes down after the last of them.
                _shared.wait_for(lambda: _users == 0)
                _shut_down(session)

    def _begin(self) -> tuple[Session | None, bool]:
        """Start or join Ray. Return the session that was made, and whether Ray has to be shut down."""
        with environment_set(QUIET_ENVIRONMENT), caller_kept():
            import ray  # sets up Ray's loggers: they can be quieted only from here on

        if ray.is_initialized() or self._leave.is_set():
            return None, False
        options: dict[str, Any] = {
            "log_to_driver": False,
            "configure_logging": False,
            "logging_level": logging.CRITICAL,
            "runtime_env": {"env_vars": WORKER_ENVIRONMENT | {WORKING_FOLDER: str(Path.cwd())}},
            "job_config": _job_config(),
        }
        session = None
        if self._address is not None:
            options["address"] = self._address
        else:
            place = short_place()
            for folder in {place, Path(tempfile.gettempdir())}:
                sweep(folder)
            session = self._session = Session(place)
            options |= {
                # Given, because Ray would otherwise join the cluster of RAY_ADDRESS.
                "address": "local",
                "include_dashboard": False,
                "num_cpus": self._cpus,
                "object_store_memory": OBJECT_STORE_BYTES,
                # Private to `ray.init`: `_temp_dir` and `_system_config`. Without the first, Ray's sessions lie in
                # /tmp/ray, where other users can read them and nothing removes them after a kill. Without the second,
                # workers run at low priority and Ray starts one that is not needed.
                "_temp_dir": str(session.inner),
                "_system_config": {"worker_niceness": 0, "prestart_worker_first_driver": False},
            }
        locked = nullcontext() if session is None else token_in_force(session.folder)
        with quiet_ray(), environment_set(QUIET_ENVIRONMENT), locked, sigterm_kept(), out_of_the_group():
            try:
                ray.init(**options)
            except BaseException:
                # Whatever came up must not outlive this thread.
                _shut_down(session)
                raise
        return session, True


class _Importable(list[str]):
    """The folders that Ray puts in front of the path of workers: of those that it adds, such as this process has."""

    def extend(self, folders: Iterable[str]) -> None:
        super().extend(set(folders) & {str(Path(folder).absolute()) for folder in sys.path})


def _job_config() -> Any:
    """Return a configuration of Ray's that keeps the current folder off the path of workers.

    Ray adds it, even if the driver does not import from it. A file there that is called numpy.py would then run.
    """
    from ray.job_config import JobConfig

    found: Any = JobConfig()
    # Private to Ray: `_py_driver_sys_path`, which `ray.init` extends.
    found._py_driver_sys_path = _Importable()
    return found


class Session:
    """The folder of a Ray that was started here, and a process that cleans up if this one is killed."""

    def __init__(self, place: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=place))
        self.inner = self.folder / "r"  # Ray opens it to everybody; the outer folder stays private
        others = Path(tempfile.gettempdir()) / f"{TUNE_FOLDER}{os.getpid()}-"
        places = [str(self.folder), str(others), str(os.getpid())]
        command = [sys.executable, "-I", "-S", cleanup_process.__file__, *places]
        # In a session of its own: what a terminal sends to the group of this process does not reach it.
        self._watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        if ending := current_command():  # a second Ctrl-C ends it while Ray is there
            ending.before_exit.append(self.expect_end)

    def expect_end(self) -> None:
        """Tell the process that cleans up that this one ends on purpose, while Ray is still there."""
        if self._watcher.stdin is not None:
            with suppress(OSError, ValueError):  # it has ended
                self._watcher.stdin.write(cleanup_process.ON_PURPOSE)
                self._watcher.stdin.flush()

    def close(self) -> None:
        """Remove what is left after Ray went down."""
        for pid in cleanup_process.of_session(self.folder):
            cleanup_process.kill(pid)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._watcher.kill()
        self._watcher.communicate()


def _shut_down(session: Session | None) -> None:
    import ray

    with quiet_ray(), garbage_kept():
        ray.shutdown()
    if session is not None:
        session.close()
        forget_token()


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Collect garbage, and no object that is there now again before the end of this block, in whichever thread.

    While Ray goes down in its thread, another thread may collect one of Ray's object references. Ray then looks for a
    core worker that has just gone, and ends the process with status 1 and no message (seen with Ray 2.50).
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def caller_kept() -> Iterator[None]:
    """Undo what the first import of Ray does to this process: its path, its hook for exceptions, a variable.

    Ray puts its own psutil in front of everybody's, and a hook in the place of the caller's.
    """
    before, hook, known = list(sys.path), sys.excepthook, CLIENT_MODE in os.environ
    try:
        yield
    finally:
        for folder in {*sys.path} - {*before}:
            if Path(folder).name == VENDORED:
                sys.path.remove(folder)
        sys.excepthook = hook
        if not known:
            os.environ.pop(CLIENT_MODE, None)


@contextmanager
def quiet_ray() -> Iterator[None]:
    """Silence Ray's loggers in this block."""
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
    """Set environment variables in this block, except those that were set before."""
    added = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


def short_place() -> Path:
    """Return a writable folder whose path is short enough for Ray's sockets. Raises EngineError if there is none."""
    most = LONGEST_SOCKET - len(LONGEST_INSIDE) - 2 * len(str(os.getpid()))
    temporary = Path(tempfile.gettempdir())
    for place in (Path("/tmp"), temporary, *map(Path, OTHER_PLACES)):
        if len(os.fsencode(place)) <= most and place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place
    raise EngineError(
        f"its temporary files need a writable folder with a path of at most {most} characters, but the "
        f"temporary folder is {str(temporary)!r}: set TMPDIR, or use --engine local"
    )


def sweep(place: Path) -> None:
    """Remove what killed processes left behind: their folders, and the processes of their Ray."""
    for prefix in (FOLDER, TUNE_FOLDER):
        for folder in place.glob(f"{prefix}*"):
            owner = folder.name.removeprefix(prefix).partition("-")[0]
            if owner.isdigit() and not is_alive(int(owner)):
                for pid in cleanup_process.of_session(folder):
                    cleanup_process.kill(pid)
                shutil.rmtree(folder, ignore_errors=True)
