"""Running an objective: generators, objects, saving, replaying."""

import errno
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from automl.errors import reason_of
from automl.search import objective
from automl.search.objective import Launch, Stepper, cause_of
from automl.search.storage.checkpoints import checkpoint_round
from tests.search.toy import Counter, climb

CONFIG = {"x": 0.5, "kind": "a"}


def launch(folder: Path, round: int = 0, save: frozenset[int] = frozenset()) -> Launch:
    return Launch(0, CONFIG, round, folder / "checkpoint", save)


def test_generator_gives_one_step_a_round_without_control_keys(tmp_path: Path) -> None:
    stepper = Stepper(climb, launch(tmp_path))
    first, second = stepper.step(), stepper.step()
    assert (first.round, second.round) == (1, 2)
    assert first.metrics == {"accuracy": 0.25, "loss": 1.0} and first.seconds == 1.5


def test_generator_is_replayed_to_where_it_was(tmp_path: Path) -> None:
    stepper = Stepper(climb, launch(tmp_path, round=3))
    step = stepper.step()
    assert step.round == 4 and step.metrics["accuracy"] == 0.5 * (1 - 0.5**4)


def test_end_of_a_generator_is_told(tmp_path: Path) -> None:
    stepper = Stepper(lambda config: iter([{"accuracy": 1.0}]), launch(tmp_path))
    assert not stepper.step().ended
    assert stepper.step().ended


def test_object_is_saved_at_its_rounds_and_loaded_from_there(tmp_path: Path) -> None:
    stepper = Stepper(Counter, launch(tmp_path, save=frozenset({2})))
    assert [stepper.step().saved for _ in range(3)] == [False, True, False]
    assert checkpoint_round(tmp_path / "checkpoint") == 2
    again = Stepper(Counter, launch(tmp_path, round=2))
    step = again.step()
    assert (step.round, step.metrics["accuracy"]) == (3, 0.5 * (1 + 2 + 3))


def test_object_is_saved_between_its_rounds_where_that_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper = Stepper(partial(Counter, pause=0.02), launch(tmp_path))
    assert not stepper.step().saved  # the first second is never saved
    monkeypatch.setattr(objective, "LEAST_SAVING_S", 0.0)
    monkeypatch.setattr(Stepper, "saving_s", objective.SAVING_SHARE * 0.01)
    assert stepper.step().saved and checkpoint_round(tmp_path / "checkpoint") == 2
    assert 0.0 < Stepper.saving_s < 5.0  # measured
    monkeypatch.setattr(Stepper, "saving_s", objective.SAVING_SHARE * 60.0)
    assert not stepper.step().saved and checkpoint_round(tmp_path / "checkpoint") == 2


def test_disk_that_is_full_between_rounds_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Counter):
        def save(self, directory: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(objective, "LEAST_SAVING_S", 0.0)
    monkeypatch.setattr(Stepper, "saving_s", 0.0)
    steps = [Stepper(Full, launch(tmp_path, save=save)).step() for save in (frozenset[int](), frozenset({1}))]
    assert [(step.saved, step.disk_full) for step in steps] == [(False, False), (False, True)]


def test_object_whose_state_is_lost_is_run_again(tmp_path: Path) -> None:
    step = Stepper(Counter, launch(tmp_path, round=2)).step()
    assert (step.round, step.metrics["accuracy"]) == (3, 0.5 * (1 + 2 + 3))


def test_object_may_end_with_stop_iteration_or_done(tmp_path: Path) -> None:
    class Short(Counter):
        def step(self) -> dict[str, Any]:
            if self.round == 2:
                raise StopIteration
            return {**super().step(), "done": self.round == 2}

    stepper = Stepper(Short, launch(tmp_path))
    steps = [stepper.step() for _ in range(3)]
    assert [step.done for step in steps] == [False, True, False]
    assert [step.saved for step in steps] == [False, True, False] and steps[2].ended


def test_broken_save_leaves_the_earlier_state(tmp_path: Path) -> None:
    class Full(Counter):
        def save(self, directory: Path) -> None:
            if self.round == 2:
                raise OSError("disk full")
            super().save(directory)

    stepper = Stepper(Full, launch(tmp_path, save=frozenset({1, 2})))
    stepper.step()
    with pytest.raises(OSError, match="disk full"):
        stepper.step()
    assert checkpoint_round(tmp_path / "checkpoint") == 1


def test_close_is_passed_on(tmp_path: Path) -> None:
    made: list[Counter] = []

    def factory(config: dict[str, Any]) -> Counter:
        made.append(Counter(config))
        return made[0]

    Stepper(factory, launch(tmp_path)).close()
    assert made[0].closed


@pytest.mark.parametrize("returned", [None, 3, "text", {"accuracy": 1.0}])
def test_objective_that_gives_neither_iterator_nor_object_is_refused(
    tmp_path: Path, returned: object
) -> None:
    with pytest.raises(TypeError, match="must return an iterator of dicts"):
        Stepper(lambda config: returned, launch(tmp_path))


def test_round_that_is_no_dict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must give a dict of metrics, got 0.5"):
        Stepper(lambda config: iter([0.5]), launch(tmp_path)).step()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_impossible_seconds_are_refused(tmp_path: Path, seconds: float) -> None:
    stepper = Stepper(lambda config: iter([{"accuracy": 1.0, "seconds": seconds}]), launch(tmp_path))
    with pytest.raises(ValueError, match="'seconds' of an epoch must be a finite number"):
        stepper.step()


def test_cause_names_type_message_and_place() -> None:
    def broken(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        if not config:
            raise ValueError("no\n  luck")
        yield {}

    try:
        next(broken({}))
    except ValueError as error:
        cause = cause_of(error)
    assert cause.startswith("ValueError: no luck (test_objective.py:") and cause.endswith(" in broken)")


@pytest.mark.parametrize("at_once", [True, False])
def test_generator_exit_of_an_objective_ends_its_trial_alone(tmp_path: Path, at_once: bool) -> None:
    def leaves(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        yield {"accuracy": 0.5}
        raise GeneratorExit

    def refuses(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        raise GeneratorExit

    if at_once:
        with pytest.raises(RuntimeError, match="the objective raised GeneratorExit"):
            Stepper(refuses, launch(tmp_path))
        return
    stepper = Stepper(leaves, launch(tmp_path))
    stepper.step()
    with pytest.raises(RuntimeError, match="the objective raised GeneratorExit"):
        stepper.step()


def test_objective_that_fails_while_it_is_closed_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def stays(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        while True:
            try:
                yield {"accuracy": 0.5}
            except GeneratorExit:
                yield {"accuracy": 0.6}

    stepper = Stepper(stays, launch(tmp_path))
    stepper.step()
    with caplog.at_level("WARNING", logger="automl"):
        stepper.close()
    assert "trial 0 failed while it was closed: RuntimeError: generator ignored GeneratorExit" in caplog.text


class Scored(Counter):
    """A counter that writes its scores, or cannot."""

    def keep_scores(self, folder: Path, round: int) -> None:
        if round == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scores").write_text(str(round), encoding="utf-8")


def test_scores_are_written_beside_the_checkpoint_and_never_end_a_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stepper = Stepper(Scored, launch(tmp_path))
    stepper.step()
    assert (tmp_path / "scores").read_text(encoding="utf-8") == "1"
    with caplog.at_level("WARNING", logger="automl"):
        step = stepper.step()
    assert (step.round, step.disk_full) == (2, False)
    assert "the scores of trial 0 could not be kept: [Errno 28]" in caplog.text
    stepper.step()
    assert (tmp_path / "scores").read_text(encoding="utf-8") == "3"


def test_objective_that_changes_its_configuration_changes_no_result(tmp_path: Path) -> None:
    given = launch(tmp_path)

    def emptied(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        config.clear()
        yield {"accuracy": 1.0}

    assert Stepper(emptied, given).step().metrics == {"accuracy": 1.0}
    assert given.config == {"x": 0.5, "kind": "a"}


def test_error_that_cannot_say_what_it_is_has_its_kind_as_its_cause() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert cause_of(Silent()) == reason_of(Silent()) == "Silent"
