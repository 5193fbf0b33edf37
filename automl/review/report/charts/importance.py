"""Which hyperparameters decide whether a trial is among the best: PED-ANOVA of Optuna, where trials are enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from automl.data.sources.base import counted
from automl.log import quiet_optuna
from automl.records import TrialState
from automl.review.page.svg import SVG, rect, text
from automl.review.report.history import History
from automl.search.storage.reader import StoredTrial

ENOUGH = 30  # complete trials, of which the best tenth are three
LOG_FROM = 100.0  # times the smallest value: a range that is taken as one of orders of magnitude
MOST = 12
ROW, LEFT, WIDTH = 24, 170, 640


@dataclass(frozen=True)
class Importance:
    """The share of each hyperparameter, the largest first; or `why_not` there is none. `trials`: complete ones."""

    shares: tuple[tuple[str, float], ...] = ()
    trials: int = 0
    why_not: str = ""


def importance(history: History) -> Importance:
    """Return how much each hyperparameter decides whether a complete trial is among the best tenth.

    Watanabe, Bansal and Hutter 2023, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
    subspaces". Only parameters that all complete trials have and that differ among them can be compared.
    """
    done = [
        trial for trial in history.trials if trial.state is TrialState.COMPLETE and math.isfinite(trial.value)
    ]
    if len(done) < ENOUGH:
        return Importance((), len(done), f"{len(done)} of at least {ENOUGH} complete trials are there")
    names = _common(done)
    if not names:
        return Importance((), len(done), "no hyperparameter differs among the complete trials")
    with quiet_optuna():
        shares = _by_optuna(done, names, history.sign)
    return Importance(tuple(sorted(shares.items(), key=lambda item: -item[1])[:MOST]), len(done))


def _common(trials: Sequence[StoredTrial]) -> list[str]:
    names = [name for name in trials[0].config if name != "family" and all(name in t.config for t in trials)]
    return [name for name in names if len({str(trial.config[name]) for trial in trials}) > 1]


def _by_optuna(trials: Sequence[StoredTrial], names: Sequence[str], sign: float) -> dict[str, float]:
    import optuna

    ranges = {name: _distribution([trial.config[name] for trial in trials]) for name in names}
    study = optuna.create_study(
        direction="maximize" if sign > 0 else "minimize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    numbers = {name: not isinstance(kind, _categorical()) for name, kind in ranges.items()}
    for trial in trials:
        params = {
            name: float(trial.config[name]) if numbers[name] else str(trial.config[name]) for name in names
        }
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=ranges, value=float(trial.value))
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return found


def _distribution(values: Sequence[Any]) -> Any:
    from optuna.distributions import FloatDistribution

    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = float(min(values)), float(max(values))
        return FloatDistribution(low, high, log=low > 0.0 and high >= LOG_FROM * low)
    return _categorical()(sorted({str(value) for value in values}))


def _categorical() -> Any:
    from optuna.distributions import CategoricalDistribution

    return CategoricalDistribution


def importance_chart(found: Importance) -> Markup:
    """Return bars of the shares; "" if there are none."""
    if not found.shares:
        return Markup("")
    most = max(share for _, share in found.shares) or 1.0
    content = ""
    for k, (name, share) in enumerate(found.shares):
        y = 6 + k * ROW
        length = (WIDTH - LEFT - 60) * share / most
        content += text(LEFT - 8, y + 14, name, "end") + rect(LEFT, y + 3, max(1.0, length), ROW - 8, "fill")
        content += text(LEFT + length + 6, y + 14, f"{share:.0%}")
    label = f"Importance of {counted(len(found.shares), 'hyperparameter')}, {found.shares[0][0]} first"
    return SVG.format(WIDTH, 12 + ROW * len(found.shares), label, "chart", Markup(content))
