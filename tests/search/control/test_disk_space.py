"""Which checkpoints stay on disk."""

from pathlib import Path

from automl.training.validation.scores_file import SCORES_FILE
from tests.search.control.bench import Bench


def test_trials_on_the_front_of_value_and_size_keep_checkpoints(tmp_path: Path) -> None:
    for begins in (True, False):  # then continued
        bench = Bench(tmp_path, n_trials=8, objectives={"loss": "min"})
        if begins:
            for value, loss in ((0.9, 3.0), (0.5, 2.0), (0.4, 2.5), (0.3, 1.0)):
                trial = bench.coordinator.start().number
                bench.run_round(trial, value, loss=loss, saved=True, done=True)
        else:  # as good as trial 3 and smaller
            trial = bench.coordinator.start().number
            bench.run_round(trial, 0.3, loss=0.5, saved=True, done=True)
        kept = [trial.number for trial in bench.store.trials() if trial.checkpoint]
        assert kept == ([0, 1, 3] if begins else [0, 1, 4])
        there = [number for number in range(5) if bench.files.checkpoint(number).exists()]
        assert there == kept
        bench.store.close()


def test_the_best_by_value_keep_checkpoints_where_they_may_be_combined(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=8, objectives={"loss": "min"}, keep_best=2)
    for value, loss in ((0.9, 1.0), (0.6, 3.0), (0.5, 4.0), (0.4, 5.0)):  # each beats the next in both
        trial = bench.coordinator.start().number
        bench.run_round(trial, value, loss=loss, saved=True, done=True)
    assert [trial.number for trial in bench.store.trials() if trial.checkpoint] == [0, 1, 2]
    bench.store.close()


def test_checkpoints_of_the_front_are_the_first_to_go_where_there_is_no_room(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=8, objectives={"loss": "min"})
    for value, loss in ((0.9, 3.0), (0.5, 2.0)):
        trial = bench.coordinator.start().number
        bench.run_round(trial, value, loss=loss, saved=True, done=True)
    assert [trial.checkpoint for trial in bench.store.trials()] == [1, 1]
    paused = bench.coordinator.start().number
    for value in (0.4, 0.5):
        bench.run_round(paused, value, loss=9.0, saved=True)
    bench.run_round(bench.coordinator.start().number, 0.3, loss=9.0, disk_full=True)
    assert [trial.checkpoint for trial in bench.store.trials()] == [
        1,
        0,
        2,
        0,
    ]  # the best one, and the paused one
    bench.store.close()


def test_scores_go_with_the_checkpoint_unless_the_trial_was_the_best(tmp_path: Path) -> None:
    for continued in (False, True):
        bench = Bench(tmp_path, n_trials=8)
        for value in (0.3,) if continued else (0.5, 0.6, 0.4, 0.7):
            trial = bench.coordinator.start().number
            (bench.files.folder(trial) / SCORES_FILE).parent.mkdir(parents=True, exist_ok=True)
            (bench.files.folder(trial) / SCORES_FILE).write_bytes(b"scores")
            bench.run_round(trial, value, saved=True, done=True)
        bench.coordinator.finish()
        there = [number for number in range(5) if (bench.files.folder(number) / SCORES_FILE).exists()]
        assert there == [0, 1, 3], "also after a resume, which reads the rounds again"
        assert [trial.number for trial in bench.store.trials() if trial.checkpoint] == [3]
        bench.store.close()


def test_unfinished_trials_without_a_checkpoint_keep_no_scores(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=8, time_limit=50.0)
    for value, saved in ((0.5, True), (0.4, False), (0.3, True)):
        trial = bench.coordinator.start().number
        bench.files.folder(trial).mkdir(parents=True, exist_ok=True)
        (bench.files.folder(trial) / SCORES_FILE).write_bytes(b"scores")
        bench.run_round(trial, value, saved=saved)
    bench.now += 100.0
    bench.coordinator.finish()
    there = [number for number in range(3) if (bench.files.folder(number) / SCORES_FILE).exists()]
    assert there == [trial.number for trial in bench.store.trials() if trial.checkpoint] == [0, 2]
    bench.store.close()
