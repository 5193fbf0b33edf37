"""`automl dashboard`: show a study in optuna-dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from automl.cli import completion
from automl.cli.options import SectionCommand, State, directory_option, option, section, verbose_option

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from automl.review.dashboard.storage import FindFolder
    from automl.review.studies import StudyFolder

server = section("Server")
_HOST = "127.0.0.1"
_PORT = 8080


@click.command("dashboard", cls=SectionCommand, short_help="Open a study's dashboard in the browser.")
@click.argument("study", required=False, shell_complete=completion.studies)
@directory_option
@section("Study")("--storage", "URL", "that of STUDY", "Show all studies of this database.")
@server("--port", "PORT", "8080", "Port to listen on; 0 picks a free one.")
@option(
    "--host",
    metavar="HOST",
    section="Server",
    standard=_HOST,
    help="Address to listen on. From another machine, the page asks for a token.",
)
@option(
    "--writable",
    is_flag=True,
    section="Server",
    help="Let the page change notes and delete trials and studies.",
)
@server(
    "--token",
    "auto|always|never",
    "auto",
    "Ask for a token: always, or where other people could open the page.",
)
@verbose_option
@click.pass_obj
def command(
    state: State,
    /,
    study: str | None,
    directory: str | None,
    storage: str | None,
    port: str | None,
    host: str | None,
    writable: bool,
    token: str | None,
) -> None:
    """Open the dashboard of STUDY, or of every study in a database.

    STUDY is the name of a study or its folder, and may be left out if there is only one. Ctrl-C stops the server.
    """
    from automl.cli.dashboard_access import PARAMETER, Access, guarded, is_loopback
    from automl.cli.dashboard_server import listen
    from automl.cli.output import say

    place = directory or "studies"
    url, found = _storage_url(study, place, storage)
    host = host or _HOST
    access = Access.to(host, writable=writable, token=_asks(token, host, writable=writable))
    with listen(
        guarded(_application(url, _folders(url, place, found)), access), host, _port(port)
    ) as listening:
        shown = f"[{host}]" if ":" in host else host
        if not is_loopback(host):
            known = "with its token" if access.token else "and there is no token"
            say(f"automl: other machines can reach this address, {known}", flush=True)
        address = f"http://{shown}:{listening.server_port}"
        if access.token is not None:
            address += f"/?{PARAMETER}={access.token}"
        say(f"dashboard at {address}  (Ctrl-C stops it)", flush=True)
        state.when_stopped = " the dashboard"
        listening.serve_forever()


def _storage_url(study: str | None, directory: str, storage: str | None) -> tuple[str, StudyFolder | None]:
    """Return the URL of the storage, and the study, None if only a storage was given."""
    from automl.errors import StudyError
    from automl.review.studies import DATABASE_FILE, find_study, study_folders, study_name

    if storage is not None:
        return _checked(storage), None
    if study is None:
        names = [study_name(path) for path in study_folders(directory)]
        if len(names) > 1:
            raise StudyError(
                f"STUDY must be given, since there are several: choose one of {', '.join(names)}"
            )
        study = names[0] if names else ""
    found = find_study(study, directory)
    if not found.config.get("storage") and not (found.path / DATABASE_FILE).is_file():
        raise StudyError(
            f"study {found.name!r} has no {DATABASE_FILE} yet: its search has not started; try again later"
        )
    return found.storage_url(), found


def _folders(url: str, directory: str, given: StudyFolder | None) -> FindFolder:
    """Return a function that finds the folder of a study in the storage at `url`, as it is now; None without one."""
    from automl.errors import AutomlError
    from automl.remote import is_remote
    from automl.review.studies import read_study, study_folder

    def find(name: str) -> StudyFolder | None:
        if given is not None and given.name == name:
            return given if given.home else read_study(given.path)
        path = None if is_remote(directory) else study_folder(Path(directory) / name)
        try:
            found = None if path is None else read_study(path)
            return found if found is not None and found.storage_url() == url else None
        except AutomlError:  # another study of the same name, or a damaged one
            return None

    return find


def _checked(storage: str) -> str:
    from automl.config.storage import check_storage
    from automl.errors import ConfigError
    from automl.search.storage.sql.urls import sqlite_file, with_driver

    try:
        url = check_storage(storage)
    except ValueError as error:
        text = str(error)
        raise ConfigError(f"--storage {text}" if text.startswith("must") else text) from error
    file = sqlite_file(with_driver(url)) if url.startswith("sqlite") else None
    if file is not None and not file.is_file():  # SQLite would make an empty one
        raise ConfigError(f"--storage must be a database that exists, but there is no file {str(file)!r}")
    return url


def _port(text: str | None) -> int:
    from automl.errors import UsageError

    if text is None:
        return _PORT
    if not (text.isdecimal() and int(text) < 65536):
        raise UsageError(f"--port must be a number from 0 to 65535, got {text!r}")
    return int(text)


def _asks(token: str | None, host: str, *, writable: bool) -> bool:
    """Return whether the page asks for a token."""
    from automl.cli.dashboard_access import is_loopback, is_shared
    from automl.errors import UsageError

    if token not in (None, "auto", "always", "never"):
        raise UsageError(f"--token must be auto, always or never, got {token!r}")
    if token in ("always", "never"):
        return token == "always"
    return writable or not is_loopback(host) or is_shared()


def _application(url: str, find_folder: FindFolder | None = None) -> WSGIApplication:
    from automl.errors import StorageError, UsageError
    from automl.review.dashboard.artifacts import GeneratedArtifacts
    from automl.review.dashboard.storage import DashboardStorage
    from automl.review.dashboard.web import translated
    from automl.search.storage.sql.database import connection_errors, open_optuna, storage_errors
    from automl.search.storage.sql.urls import masked

    try:
        import optuna
        import optuna_dashboard
    except ImportError as error:
        raise UsageError("the dashboard must be installed; run `pip install optuna-dashboard`") from error
    import sqlalchemy.exc

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with connection_errors(masked(url)):
            view = cast(DashboardStorage, open_optuna(url, DashboardStorage))
        view.find_folder = find_folder or view.find_folder
        app: WSGIApplication = optuna_dashboard.wsgi(view, artifact_store=GeneratedArtifacts(view.artifact))
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ImportError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "readonly database" in first:
            raise StorageError(
                f"the dashboard needs a database that it can write to, but {masked(url)!r} can only be read: copy the "
                "folder of the study and open the copy"
            ) from error
        if isinstance(
            error, sqlalchemy.exc.OperationalError
        ):  # it does not answer, so nobody knows what it holds
            with storage_errors(masked(url)):
                raise
        raise StorageError(
            f"the storage must be an Optuna database, got {masked(url)!r} ({first})"
        ) from error
    return translated(app, view)
