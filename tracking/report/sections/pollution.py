"""What pollution costs: AUROC against the outliers' share p, alone and with the batch size."""

from tracking.report.arms import (
    averaged_over,
    levels_of,
    line_fields,
    line_name,
    panel_fields,
    panel_name,
)
from tracking.report.blocks import Block, Picture, Pictures, Section
from tracking.report.cells import Group, grouped, level
from tracking.report.numbers import percent, value_text
from tracking.report.panels import Curves, HeatMap, Line, roomy
from tracking.report.results import Results
from tracking.report.sections.slopes import P, slope_differences, slope_table, slopes_of

BATCH = "batch_size"


def pollution(results: Results) -> Section | None:
    """Curves, slopes and heat maps; None where pollution does not vary."""
    if len({trial.value(P) for trial in results.finished}) < 2:
        return None
    slopes = slopes_of(results)
    found = slope_table(results, slopes), slope_differences(results, slopes)
    blocks: list[Block] = [_curves(results), *(table for table in found if table)]
    if len({trial.value(BATCH) for trial in results.finished}) > 1:
        blocks.append(_heat(results))
    return Section("Pollution", blocks)


def _curves(results: Results) -> Pictures:
    apart, across = line_fields(results, [P]), panel_fields(results, [P])
    groups = grouped(
        results.finished,
        lambda trial: (level(trial, across), level(trial, apart), float(trial.value(P))),
        lambda trial: trial.final(results.headline),
    )
    shares = sorted({p for _, _, p in groups})
    y = roomy(100 * value for group in groups.values() for value in _reach(group))
    x = 100 * shares[0] - 4 * shares[-1], 104 * shares[-1]
    arms = levels_of(results, results.finished, apart)
    pictures = []
    for at in levels_of(results, results.finished, across):
        name = panel_name(across, at)
        lines, said = [], []
        for place, arm in enumerate(arms):
            drawn = [(p, groups[at, arm, p]) for p in shares if (at, arm, p) in groups]
            if drawn:
                means = [(100 * p, 100 * group.mean) for p, group in drawn]
                bounds = [(100 * low, 100 * high) for low, high in (_reach(g) for _, g in drawn)]
                lines.append(Line(line_name(arm), means, place, bounds=bounds))
                said.append(f"{line_name(arm)} {', '.join(percent(g.mean) for _, g in drawn)}")
        title = f"AUROC in %, {name}" if name else "AUROC in %"
        ticks = [100 * p for p in shares]
        panel = Curves(title, "pollution p in %", lines, x, y, x_ticks=ticks)
        alt = f"AUROC against pollution{', ' + name if name else ''}: {'; '.join(said)}."
        pictures.append(Picture(f"pollution {name}", panel, alt))
    caption = "AUROC against p at the last epoch: means with 95 % intervals"
    return Pictures(caption + averaged_over(results, [*apart, *across, P]), pictures)


def _reach(group: Group) -> tuple[float, float]:
    """The interval inside [0, 1], else the mean twice."""
    return group.reach or (group.mean, group.mean)


def _heat(results: Results) -> Pictures:
    field = results.compare
    arms = levels_of(results, results.finished, [field])
    groups = grouped(
        results.finished,
        lambda trial: (level(trial, [field]), trial.value(P), trial.value(BATCH)),
        lambda trial: trial.final(results.headline),
    )
    values = [group.mean for group in groups.values()]
    shares, sizes = (sorted({key[at] for key in groups}) for at in (1, 2))
    pictures = []
    for arm in arms:
        cells = {
            (row, column): groups[arm, p, size].mean
            for row, p in enumerate(shares)
            for column, size in enumerate(sizes)
            if (arm, p, size) in groups
        }
        name = panel_name([field], arm)
        panel = HeatMap(
            name,
            rows=("pollution", [value_text(p) for p in shares]),
            columns=("batch size", [value_text(size) for size in sizes]),
            values=cells,
            span=(min(values), max(values)),
        )
        said = ", ".join(
            f"p {value_text(shares[row])} batch {value_text(sizes[column])}: {percent(value)}"
            for (row, column), value in cells.items()
        )
        pictures.append(Picture(f"heat {name}", panel, f"AUROC in %, {name}. {said}."))
    caption = "Mean AUROC in % by batch size and pollution, one scale for all maps"
    return Pictures(caption + averaged_over(results, [field, P, BATCH]), pictures)
