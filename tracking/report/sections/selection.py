"""What choosing without test labels was worth: correlation with AUROC, and regret.

Selections are made first, from the signals of training images alone; only then is AUROC read.
"""

from collections.abc import Mapping

import numpy as np

from tracking.report.blocks import Block, Cell, Picture, Pictures, Section, Table
from tracking.report.numbers import NONE, field_text, number, percent, signed, value_text
from tracking.report.panels import Dots
from tracking.report.results import Results
from tracking.report.statistics import spearman
from tracking.report.trials import Trial
from tracking.selection import SIGNALS, SignalRows, best_epoch, best_trial, goodness, last_value

Signals = Mapping[str, SignalRows]
Curves = Mapping[str, Mapping[int, float]]
"""AUROC in [0, 1] by trial, then by epoch."""

_FEWEST = 3  # trials for a rank correlation


def selection(results: Results) -> Section | None:
    """Configurations by signal, epochs by signal, AUROC against signals; None with no trial."""
    trials = {trial.trial_id: trial for trial in results.finished}
    if not trials:
        return None
    signals = {key: trial.signals for key, trial in trials.items()}
    chosen = {name: best_trial(signals, name) for name in SIGNALS}
    epochs = {
        name: {key: best_epoch(rows, name) for key, rows in signals.items()} for name in SIGNALS
    }
    auroc = {key: trial.auroc[results.headline] for key, trial in trials.items()}  # chosen by now
    last = {key: curve[max(curve)] for key, curve in auroc.items()}
    blocks: list[Block] = [
        _configurations(results, trials, signals, chosen, last),
        _epochs(epochs, auroc, last),
    ]
    if pictures := _pictures(signals, last):
        caption = (
            f"Test AUROC in % of {results.headline} against every signal at the last epoch, a dot "
            "a finished trial."
        )
        blocks.append(Pictures(caption, pictures))
    return Section("Choosing without test labels", blocks)


def _configurations(
    results: Results,
    trials: Mapping[str, Trial],
    signals: Signals,
    chosen: Mapping[str, str | None],
    last: Mapping[str, float],
) -> Table:
    oracle = max(last, key=lambda key: (last[key], key))
    mean = float(np.mean([*last.values()]))
    fields = results.named_rows

    def choice(key: str) -> list[Cell]:
        values = ", ".join(_short(trials[key].value(name)) for name in fields)
        return [percent(last[key]), percent(last[oracle] - last[key]), values]

    body: list[list[Cell]] = []
    for name, key in chosen.items():
        if key is not None:
            pairs = _pairs(signals, last, name)
            turned = [(goodness(value, name), auroc) for value, auroc in pairs]
            rank = spearman(*zip(*turned, strict=True)) if len(turned) >= _FEWEST else None
            text = NONE if rank is None else signed(rank)
            body.append([name, text, str(len(pairs)), *choice(key)])
    regret = percent(last[oracle] - mean)
    body.append(["any at random", "", str(len(last)), percent(mean), regret, "the mean"])
    body.append(["oracle", "", str(len(last)), *choice(oracle)])
    return Table(
        f"Choosing a configuration at the last epoch: AUROC in % of {results.headline}, read after "
        "the selection. The rank correlation (Spearman) is that of the signal, turned so that "
        "higher is taken for better, with AUROC over the finished trials; the regret is what the "
        "oracle, who sees test labels, would have gained, in points.",
        ["signal", "rank correlation", "n", "AUROC", "regret", ", ".join(map(field_text, fields))],
        body,
    )


def _epochs(
    epochs: Mapping[str, Mapping[str, int | None]], auroc: Curves, last: Mapping[str, float]
) -> Table:
    best = {key: max(curve.values()) for key, curve in auroc.items()}

    def line(name: str, stopped: Mapping[str, float]) -> list[Cell]:
        mean = float(np.mean([*stopped.values()]))
        regret = float(np.mean([best[key] - value for key, value in stopped.items()]))
        return [name, str(len(stopped)), percent(mean), percent(regret)]

    body = []
    for name, by_trial in epochs.items():
        if stopped := {
            key: auroc[key][at] for key, at in by_trial.items() if at and at in auroc[key]
        }:
            body.append(line(name, stopped))
    body.append(line("last epoch", last))
    return Table(
        "Choosing an epoch of each finished trial among those evaluated: mean AUROC there in %, "
        "and mean regret against the best epoch in points.",
        ["signal", "n", "AUROC", "regret"],
        body,
    )


def _pictures(signals: Signals, last: Mapping[str, float]) -> list[Picture]:
    pictures = []
    for name in SIGNALS:
        if pairs := _pairs(signals, last, name):
            panel = Dots(f"AUROC in %, {name}", name, [(x, 100 * auroc) for x, auroc in pairs])
            low, high = percent(min(last.values())), percent(max(last.values()))
            alt = f"AUROC from {low} to {high} % against the signal {name}, {len(pairs)} trials."
            pictures.append(Picture(f"signal {name}", panel, alt))
    return pictures


def _pairs(signals: Signals, last: Mapping[str, float], name: str) -> list[tuple[float, float]]:
    """Signal and AUROC of the trials that have the signal."""
    return [
        (value, last[key])
        for key, rows in signals.items()
        if (value := last_value(rows, name)) is not None
    ]


def _short(value: object) -> str:
    return number(value) if isinstance(value, float) else value_text(value)
