"""What observers are told of trials."""

from __future__ import annotations

from pathlib import Path

import optuna

from tests.search.control.bench import Bench


def test_events_and_the_dashboard_tell_what_belongs_to_a_configuration(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attributes=lambda config: {"weights": f"net.{config['x'] > 2}"})
    number = bench.coordinator.start().number
    bench.run_round(number, 0.5)
    bench.coordinator.finish()
    (trial,) = bench.store.trials()
    assert "weights" not in trial.config  # it is no value of the space
    bench.store.close()
    (shown,) = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/study.db").trials
    assert shown.user_attrs["weights"] == f"net.{trial.config['x'] > 2}"
    assert "weights" not in shown.params
    told = bench.listener.events[-1]
    assert told.config == {**trial.config, "weights": shown.user_attrs["weights"]}
    assert told.best is not None and told.best.config == told.config
