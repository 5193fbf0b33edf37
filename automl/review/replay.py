"""`python -m automl.review.replay STUDY`: check that today's policies decide a recorded study in the same way.

For changes of a policy: a new policy gets the reports of the study in their recorded order, and the first decision that
differs is printed. Nothing is trained or written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sqlalchemy import select

from automl.documents.json_file import parse_json
from automl.errors import AutomlError, StudyError
from automl.review.studies import StudyFolder, find_study
from automl.review.trials import open_study
from automl.search.policy import Policy, PolicyContext, Significance, make_policy
from automl.search.replay import Difference, replay
from automl.search.run import check_names
from automl.search.storage.event_log import read_events
from automl.search.storage.sql import tables


def replay_study(study: StudyFolder, policy: str | None = None) -> tuple[int, Difference | None]:
    """Return the number of recorded events, and the first one that the policy would decide differently.

    `policy` is its name, by default the study's own. Raises StudyError if this version cannot read the study's log,
    ConfigError for an unknown policy, and StorageError if the database cannot be read.
    """
    with open_study(study) as opened:
        row = None
        if opened is not None:
            meta = select(tables.meta).where(tables.meta.c.study_id == opened.id)
            row = opened.connection.execute(meta).mappings().first()
        if opened is None or row is None or row["schema_version"] != tables.SCHEMA_VERSION:
            there = "none" if row is None else f"one of version {row['schema_version']}"
            raise StudyError(
                f"the study {study.name!r} must have a log of version {tables.SCHEMA_VERSION}, but has {there}: "
                "choose a study made by this version of automl"
            )
        known = parse_json(row["fingerprint"])
        events = read_events(opened.connection, opened.id)
    name = policy or str(study.config.get("policy", "auto"))
    check_names(policy=name)

    def make(significance: Significance | None) -> Policy:
        return make_policy(name, PolicyContext(known["max_epochs"], known["mode"], significance))

    return len(events), replay(events, make)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print whether the decisions are the same, and return 0 if they are, 1 if not, 2 for an error."""
    parser = argparse.ArgumentParser(prog="python -m automl.review.replay", description=__doc__)
    parser.add_argument("study", help="a study's name, or its folder")
    parser.add_argument("--directory", default="studies", help="the folder of the studies (default: studies)")
    parser.add_argument("--policy", help="another policy than the study's own")
    asked = parser.parse_args(arguments)
    try:
        count, difference = replay_study(find_study(asked.study, asked.directory), asked.policy)
    except AutomlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"The same decisions in all {count} events." if difference is None else f"Not the same: {difference}."
    )
    return 0 if difference is None else 1


if __name__ == "__main__":
    sys.exit(main())
