"""label_errors.csv: which validation images a person should look at again."""

from __future__ import annotations

from automl.data.splits import VAL
from automl.errors import AutomlError
from automl.final.label_errors import in_words, likely_errors, val_scores
from automl.pipeline.clock import Clock
from automl.pipeline.setup import Setup
from automl.pipeline.workspace import write_text
from automl.search import SearchResult
from automl.search.budget import EVAL_SPEEDUP

_SHARE = 0.02  # of the time limit
_BUILDING = 0.3  # seconds to build the model and load the checkpoint


def write_suspects(setup: Setup, found: SearchResult, clock: Clock) -> str:
    """Write the table of likely label errors of a classification; returns what to tell, "" where that is nothing.

    It is made before the retrain, which then has what is left of the time. Where it would take more than 2 % of the
    time limit, or where the best trial left no checkpoint, there is no table.
    """
    info, path = setup.data.splits.info, setup.workspace.root / "label_errors.csv"
    if info.task != "classification":
        return ""
    path.unlink(missing_ok=True)  # one of an earlier best trial would be taken for this one's
    seconds = _BUILDING + info.n_val / (EVAL_SPEEDUP * setup.probe.images_per_second)
    if clock.limit is not None and seconds > _SHARE * clock.limit:
        return f"Likely label errors were not looked for: that takes {seconds:.1f} s, over 2 % of the time limit."
    try:
        scores = val_scores(found.best, setup.data.splits, setup.plan)
    except AutomlError as error:
        return f"Likely label errors were not looked for: {error}."
    if scores is None:
        return "Likely label errors were not looked for: the best trial left no checkpoint."
    rows = setup.data.table[setup.data.table["split"] == VAL]
    table = likely_errors(scores, rows["file"].tolist(), rows["label"].tolist(), info.classes)
    write_text(path, table.to_csv(index=False))
    return in_words(table, info.n_val)
