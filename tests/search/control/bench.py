"""A coordinator with all its parts, for tests."""

from pathlib import Path
from typing import Any

from automl.records import Config, TrialState
from automl.search.control.coordinator import Coordinator
from automl.search.objective import Step
from automl.search.policy import Action
from automl.search.run import policy_of
from automl.search.sampling.registry import make_sampler
from automl.search.settings import SearchSettings
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.fingerprint import fingerprint
from automl.search.storage.store import Store
from tests.search.toy import Listener, ToySpace, context, settings


class Bench:
    """A coordinator with all its parts, and a clock to turn by hand."""

    def __init__(self, folder: Path, portfolio: tuple[Config, ...] = (), **changes: Any) -> None:
        self.now = 100.0
        self.folder = folder
        self.listener = Listener()
        self.settings: SearchSettings = settings(
            storage=f"sqlite:///{folder}/study.db", directory=folder, **changes
        )
        space = ToySpace(portfolio)
        self.store = Store.open(
            self.settings.storage,
            "s",
            fingerprint=fingerprint(space, self.settings),
            make_sampler=lambda count: make_sampler("random", context(count)),
            attributes=self.settings.attributes,
        )
        policy = policy_of(self.settings)
        self.files = TrialFiles(folder, logs=True)
        self.coordinator = Coordinator(
            store=self.store,
            policy=policy,
            space=space,
            settings=self.settings,
            observer=self.listener,
            files=self.files,
            clock=lambda: self.now,
        )

    def run_round(
        self, trial: int, value: float, *, saved: bool = False, loss: float = 1.0, **flags: Any
    ) -> Action:
        self.now += 1
        round = self.coordinator.launch(trial).round + 1
        if saved:
            place = self.files.checkpoint(trial)
            place.mkdir(parents=True, exist_ok=True)
            (place / "automl_round.json").write_text(f'{{"round": {round}}}', encoding="utf-8")
        step = Step(round, {"accuracy": value, "loss": loss}, 2.0, 1.0, saved=saved, **flags)
        return self.coordinator.report(trial, step).action

    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.store.trials()]
