"""A round that was saved but came too late to count: the weights on disk are those that were scored."""

import json
from pathlib import Path

import pytest

from automl.search.objective import Stepper
from automl.search.policy import Action
from automl.search.reasons import Code, Reason, crashed
from automl.search.storage.checkpoints import before, checkpoint_round
from tests.search.control.bench import Bench
from tests.search.toy import Counter

AGAIN = Reason(Code.LAST_RESORT, {"rank": 1, "trials": 1, "round": 1})


def checkpoint_of(bench: Bench, trial: int) -> tuple[int, bool]:
    """The saved round of a trial, and whether an older state is beside it."""
    place = bench.files.checkpoint(trial)
    return checkpoint_round(place), before(place).exists()


def test_weights_of_a_round_that_came_too_late_are_not_kept_beside_an_earlier_score(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=None, time_limit=50.0)
    stepper = Stepper(Counter, bench.coordinator.start())
    bench.coordinator.report(0, stepper.step())
    stepper.save()
    bench.coordinator.saved(0)
    assert checkpoint_of(bench, 0) == (1, False)
    late = stepper.step()
    stepper.save()  # by itself, while the search ends
    assert checkpoint_of(bench, 0) == (2, True)
    bench.now += 100.0
    bench.coordinator.finish()
    assert checkpoint_of(bench, 0) == (1, False)
    assert bench.coordinator.report(0, late).action is Action.STOP
    assert checkpoint_of(bench, 0) == (1, False)
    stored = json.loads((bench.files.checkpoint(0) / "state.json").read_text())
    assert stored["round"] == bench.store.trials()[0].rounds == 1
    bench.store.close()


@pytest.mark.parametrize("how", ["killed", "lost"])
def test_trial_that_died_after_saving_goes_on_from_its_last_score(tmp_path: Path, how: str) -> None:
    bench = Bench(tmp_path)
    stepper = Stepper(Counter, bench.coordinator.start())
    bench.coordinator.report(0, stepper.step())
    stepper.save()
    bench.coordinator.saved(0)
    stepper.step()
    stepper.save()  # and then the process, or the search as a whole, is killed
    if how == "lost":
        bench.coordinator.failed(0, crashed("killed"), lost=True)
        again = bench
    else:
        bench.store.close()
        again = Bench(tmp_path)
    assert checkpoint_of(again, 0) == (1, False)
    launch = again.coordinator.resume(0, AGAIN)
    assert launch.round == 1
    assert Stepper(Counter, launch).round == 1
    again.store.close()
