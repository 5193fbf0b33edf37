"""How far the studies of a database are, in four queries for all of them that count in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from automl.documents.json_file import parse_json
from automl.records import Mode, TrialState
from automl.search.storage.kinds import HEAD
from automl.search.storage.summary import STATES

_STUDIES = text(
    "SELECT s.study_id, s.study_name, d.direction, a.value_json FROM studies s"
    " JOIN automl_meta m ON m.study_id = s.study_id"
    " JOIN study_directions d ON d.study_id = s.study_id AND d.objective = 0"
    " LEFT JOIN study_system_attributes a ON a.study_id = s.study_id AND a.key = 'study:metric_names'"
)
# An unfinished trial is PRUNED for Optuna, with a user attribute that says why.
_STATES = text(
    "SELECT g.study_id, g.state, g.head, g.unfinished, COUNT(*) FROM ("
    "SELECT t.study_id AS study_id, t.state AS state,"
    " CASE WHEN c.origin = :head THEN 1 ELSE 0 END AS head,"
    " CASE WHEN u.value_json IS NULL OR u.value_json = '\"\"' THEN 0 ELSE 1 END AS unfinished"
    " FROM trials t LEFT JOIN automl_trials c ON c.study_id = t.study_id AND c.trial = t.number"
    " LEFT JOIN trial_user_attributes u ON u.trial_id = t.trial_id AND u.key = 'unfinished'"
    ") g GROUP BY g.study_id, g.state, g.head, g.unfinished"
)
# A trial counts with its last round.
_BEST = text(
    "SELECT r.study_id, MIN(r.value), MAX(r.value), MAX(r.at) FROM automl_reports r"
    " JOIN (SELECT study_id, trial, MAX(epoch) AS epoch FROM automl_reports GROUP BY study_id, trial) g"
    " ON g.study_id = r.study_id AND g.trial = r.trial AND g.epoch = r.epoch"
    " JOIN trials t ON t.study_id = r.study_id AND t.number = r.trial AND t.state <> 'FAIL'"
    " GROUP BY r.study_id"
)


@dataclass(frozen=True)
class StudyCounts:
    """How many trainings of a study are in which state, its linear heads, and the `best` last value (None: none yet).

    `metric` is "" where the database does not say it. `last` is the moment of the last report of a trial that has not
    failed, in UTC as ISO 8601, "" without any.
    """

    metric: str
    mode: Mode
    states: Mapping[TrialState, int] = field(default_factory=dict)
    heads: int = 0
    best: float | None = None
    last: str = ""

    @property
    def trainings(self) -> int:
        """The number of trainings."""
        return sum(self.states.values())

    @property
    def words(self) -> dict[str, int]:
        """The counts as `review.describe.counts_words` takes them."""
        return {
            "total": self.trainings,
            **{str(state): n for state, n in self.states.items()},
            "heads": self.heads,
        }


def read_counts(connection: Connection) -> dict[str, StudyCounts]:
    """Return the counts of all studies of this version in a database, by name.

    Raises what `summary.read_summary` catches where the tables are not of this version, or not of automl at all.
    """
    known = connection.execute(_STUDIES).all()
    states: dict[int, dict[TrialState, int]] = {}
    heads: dict[int, int] = {}
    for study_id, state, head, unfinished, count in connection.execute(_STATES, {"head": HEAD}):
        if head:
            heads[study_id] = heads.get(study_id, 0) + count
            continue
        shown = TrialState.UNFINISHED if unfinished and state == "PRUNED" else STATES[state]
        of = states.setdefault(study_id, {})
        of[shown] = of.get(shown, 0) + count
    best = {row[0]: row[1:] for row in connection.execute(_BEST)}
    found = {}
    for study_id, name, direction, names in known:
        low, high, last = best.get(study_id, (None, None, ""))
        minimised = direction == "MINIMIZE"
        found[name] = StudyCounts(
            metric=(parse_json(names) or [""])[0] if names else "",
            mode="min" if minimised else "max",
            states=states.get(study_id, {}),
            heads=heads.get(study_id, 0),
            best=low if minimised else high,
            last=last or "",
        )
    return found
