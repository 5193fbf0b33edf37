"""`automl deliver`: make another trial the model of a finished study."""

from __future__ import annotations

from typing import Any

import click

from automl.cli.damaged_study import reads_study
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    json_option,
    option,
    quiet_option,
    section,
    verbose_option,
)

which = section("Which model")


@click.command("deliver", cls=SectionCommand, short_help="Make another trial the model of a study.")
@click.argument("study")
@option("--trial", section="Which model", type=int, metavar="N", help="This trial.")
@option(
    "--former",
    section="Which model",
    metavar="NAME",
    help="A model that was delivered before: the name of its folder in `models`, such as ensemble.",
)
@which("--max-latency", "5ms", "", "The best trial that takes so long for one image, on this machine.")
@which("--max-size", "5M", "", "The best trial with a file of at most this size.")
@which("--max-params", "5M", "", "The best trial with at most so many parameters.")
@option("--data", section="Study", metavar="DATA", help="The study's data, if they have moved.")
@directory_option
@json_option("Print result.json on stdout at the end; progress goes to stderr.")
@quiet_option
@verbose_option
@click.pass_obj
@reads_study
def command(
    state: State,
    /,
    study: str,
    trial: int | None,
    former: str | None,
    data: str | None,
    directory: str | None,
    **limits: Any,
) -> int:
    """Make another trial of STUDY, or a former model, its model, without a new search.

    STUDY is the name of a finished study or its folder. `automl leaderboard STUDY --pareto` shows what there is to
    choose from, and which trials still have weights. The choice is made by validation scores. The chosen model is then
    scored on the sealed holdout, once more, and the result says how often that was read. The former model is kept in
    the study's folder `models`; --former NAME makes it the model again, without another look at the holdout. Ctrl-C
    leaves everything as it was until the holdout is read; after that only a second one stops the command. The exit
    code is 3 if the model is not better than the trivial answer.
    """
    from functools import partial

    from automl import config as configuration
    from automl.cli.commands.deliver.stopped import what_stands
    from automl.cli.run_study import run
    from automl.pipeline.deliver.choose import Wish
    from automl.pipeline.deliver.deliver import deliver
    from automl.pipeline.plan.limits.asked import Asked
    from automl.review.studies import STUDY_FILE, find_study, require_own_name

    wish = Wish(trial, Asked.read(**limits), former)
    found = find_study(study, directory or "studies")
    require_own_name(found)  # by its name, another folder would be found
    changes = {} if data is None else {"data": data}
    config = configuration.load(
        found.path / STUDY_FILE, study=found.name, directory=found.directory, **changes
    )

    def start(observer: Any) -> Any:
        state.when_stopped = partial(what_stands, found)
        return deliver(found.name, wish, directory=found.directory, data=data, observer=observer)

    return run(config, start, state)
