"""What is not in the means: every trial that has not finished well, by name."""

from tracking.report.blocks import Cell, Section, Table
from tracking.report.cells import describe
from tracking.report.numbers import NONE, number
from tracking.report.results import Results
from tracking.report.versions import why_not

TITLE = "Not in the means"

_ORDER = ("collapsed", "diverged", "failed", "stopped", "running", "pending")
_MOST_NAMED = 200


def excluded(results: Results) -> Section | None:
    """Every trial that is not in the means, named with its message; None if all are in."""
    inside = {trial.trial_id for trial in results.finished}
    outside = [trial for trial in results.trials if trial.trial_id not in inside]
    if not outside:
        return None
    ordered = sorted(outside, key=lambda t: (*_ORDER, t.status).index(t.status))
    body: list[list[Cell]] = []
    lines = []
    for trial in ordered[:_MOST_NAMED]:
        status = trial.status
        if status == "finished":
            status += f", {why_not(trial, results.headline, ranked=results.ranked)}"
        said, message = describe(results, trial), str(trial.state.get("message") or "")
        epochs = number(float(trial.epochs[-1])) if len(trial.epochs) else "0"
        body.append([status, said, message or NONE, trial.trial_id, epochs])
        lines.append(": ".join(filter(None, [status, f"{said} ({trial.trial_id})", message])))
    caption = (
        "Trials that have not finished well, or whose scores or data are older, are named here and "
        "averaged nowhere."
    )
    if len(ordered) > _MOST_NAMED:
        caption += f" The first {_MOST_NAMED} of {len(ordered):,}; the store has the others."
    header = ["status", "trial", "message", "id", "epochs"]
    return Section(TITLE, [Table(caption, header, body, labels=4, lines=lines)])
