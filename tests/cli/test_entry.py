"""How commands end: one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from automl import __version__
from automl.cli import main
from automl.cli.group import COMMANDS
from automl.config import StudyConfig, save


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ft"], "automl: unknown command 'ft': did you mean 'fit'? Valid names: "),
        (["fit"], "automl: DATA must be given; see `automl fit --help`\n"),
        (["predict", "photos"], "automl: IMAGES must be given; see `automl predict --help`\n"),
        (
            ["fit", "x", "--tme-limit", "1"],
            "automl: unknown option '--tme-limit': did you mean '--time-limit'?",
        ),
        (["fit", "x", "--study"], "automl: option '--study' requires an argument"),
        (["list", "a", "b"], "automl: got unexpected extra arguments"),
        (["--versio"], "automl: unknown option '--versio': did you mean '--version'?"),
        (["fit", "digits", "--n-trials", "0"], "automl: n_trials must be at least 1, got '0'\n"),
        (["fit", "digits", "--n-trials", "0", "--seed", "x"], "automl: 2 problems: (1) n_trials"),
        (["fit", "none.yaml"], "automl: a study file must be readable, got 'none.yaml'"),
        (["resume", "photos"], "automl: a study must exist, got 'photos', but 'studies' holds none;"),
        (["inspect", "x" * 5000], "automl: the name of a file or folder must be shorter, but 'xxx"),
        (["show", "photos"], "automl: a study must exist, got 'photos'"),
        (["leaderboard", "photos"], "automl: a study must exist, got 'photos'"),
        (["dashboard"], "automl: a study must exist, got ''"),
        (["dashboard", "--storage", "db"], "automl: --storage must be a database URL such as"),
        (["predict", "photos", "a.jpg"], "automl: a model must be a study's name, its folder or"),
        (
            ["predict", "photos", "a.jpg", "--out", "a.txt"],
            "automl: --out must end in .csv or .parquet, got 'a.txt'",
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_help_lists_the_commands_in_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    without = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == without
    places = [without.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert "..." not in without.split("Commands:")[1]


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"automl {__version__}\n"


def test_verbose_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "photos", "--verbose"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("automl: a study must exist")


def test_unexpected_error_is_one_line_and_exit_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("automl.review.studies.study_folders", broken)
    assert main(["list"]) == 1
    assert capsys.readouterr().err == "automl: unexpected ZeroDivisionError: by zero; --verbose shows where\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_memory_that_ran_out_is_told_as_that(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise error

    monkeypatch.setattr("automl.review.studies.study_folders", broken)
    assert main(["list"]) == 1
    assert capsys.readouterr().err.startswith(
        "automl: memory ran out: close other programs, or raise the limit"
    )


def test_ctrl_c_is_exit_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.review.studies.study_folders", interrupted)
    assert main(["list"]) == 130
    # the empty line ends the one in which the terminal shows ^C
    assert capsys.readouterr().err == "\nautoml: stopped\n"


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_offers_resume_only_where_there_is_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], begun: bool
) -> None:
    def interrupted(config: StudyConfig, **_: object) -> None:
        if begun:
            save(config, config.study_dir / "study.yaml")
        raise KeyboardInterrupt

    monkeypatch.setattr("automl.pipeline.fit", interrupted)
    (tmp_path / "digits").mkdir()
    assert main(["fit", "digits", "--directory", str(tmp_path), "--quiet"]) == 130
    assert ("resume with `automl resume digits" in capsys.readouterr().err) == begun


@pytest.mark.parametrize("command", ["--help", "fit --help", "spaces", "spaces --json"])
def test_reader_that_leaves_early_causes_no_noise(command: str) -> None:
    command = f"{sys.executable} -m automl {command} | true; echo ${{PIPESTATUS[0]}}"
    run = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
    )
    assert (run.stdout, run.stderr) == ("141\n", "")


def test_password_is_masked_in_whatever_is_said_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://ann:s3:cret@127.0.0.1:1/none"
    for flags in ([], ["--verbose"]):
        assert main(["dashboard", "--storage", url, *flags]) == 1
        said = capsys.readouterr()
        assert "s3:cret" not in said.err + said.out and "ann:***@127.0.0.1" in said.err
        assert ("Traceback" in said.err) == bool(flags)


def test_odd_environment_is_no_trouble(tmp_path: Path) -> None:
    """No assertions or docstrings, warnings as errors, a broken sitecustomize, plain ASCII and 10 columns at once."""
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('broken')")
    path = os.pathsep.join((str(Path(__file__).parents[2]), str(tmp_path)))
    odd = {
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
        "PYTHONHASHSEED": "7",
        "PYTHONUTF8": "0",
        "LC_ALL": "C",
    }
    plain = {
        "TERM": "dumb",
        "NO_COLOR": "1",
        "COLUMNS": "10",
        "OMP_NUM_THREADS": "abc",
        "CUDA_VISIBLE_DEVICES": "",
    }
    environment = {**os.environ, **odd, **plain, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    for arguments, word in (
        (["spaces"], "smoke"),
        (["fit", "--help"], "--time-limit"),
        (["list"], "studies"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "automl", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
        )
        said = [
            line for line in done.stderr.splitlines() if "sitecustomize" not in line and "broken" not in line
        ]
        assert (done.returncode, said) == (0, []) and word in done.stdout, (arguments, done)
