"""What pollution costs: AUROC against the outliers' share p, alone and with the batch size."""

from tracking.report.arms import (
    averaged_over,
    levels_of,
    line_fields,
    line_name,
    panel_fields,
    panel_name,
)
from tracking.report.blocks import Block, Cell, Picture, Pictures, Section, Table
from tracking.report.cells import Group, Level, grouped, label, level
from tracking.report.charts import BOTTOM, LEFT, RIGHT, TOP, Axis, Panel, spanning
from tracking.report.heat import heat_map
from tracking.report.numbers import points, points_interval, value_text
from tracking.report.results import Results, Trial
from tracking.statistics import slope

P, BATCH = "pollution", "batch_size"


def pollution(results: Results) -> Section | None:
    """Curves, slopes and heat maps; None where pollution does not vary."""
    if len({trial.value(P) for trial in results.finished}) < 2:
        return None
    blocks: list[Block] = [_curves(results), _slopes(results)]
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
    arms = levels_of(results, results.finished, apart)
    reach = [100 * value for group in groups.values() for value in _reach(group)]
    shares = sorted({100 * p for _, _, p in groups})
    x = Axis(shares[0] - 0.04 * shares[-1], shares[-1] * 1.04, LEFT, RIGHT)
    y = spanning(reach, BOTTOM, TOP)
    pictures = []
    for at in levels_of(results, results.finished, across):
        name = panel_name(across, at)
        panel = Panel(f"AUROC in %, {name}" if name else "AUROC in %", x, y, "pollution p in %")
        said = []
        for index, arm in enumerate(arms):
            line = [(p, groups[at, arm, p / 100]) for p in shares if (at, arm, p / 100) in groups]
            if not line:
                continue
            panel.line([(p, 100 * group.mean) for p, group in line], index, line_name(arm))
            for p, group in line:
                low, high = _reach(group)
                place = x(p) + 3 * (index - (len(arms) - 1) / 2)
                panel.whisker(place, 100 * low, 100 * high, 100 * group.mean, index)
            said.append(f"{line_name(arm)} {', '.join(f'{100 * g.mean:.1f}' for _, g in line)}")
        alt = f"AUROC against pollution{', ' + name if name else ''}: {'; '.join(said)}."
        pictures.append(Picture(f"pollution {name}", panel.svg(x_ticks=shares), alt))
    caption = "AUROC against p at the last epoch: means with 95 % intervals"
    return Pictures(caption + averaged_over(results, [*apart, *across, P]), pictures)


def _reach(group: Group) -> tuple[float, float]:
    """The interval inside [0, 1], else the mean twice."""
    if group.bounds is None:
        return group.mean, group.mean
    return max(0.0, group.bounds[0]), min(1.0, group.bounds[1])


def _slopes(results: Results) -> Table:
    fields = [name for name in [*results.rows, results.column] if name and name != P]
    curves: dict[tuple[Level, object, object], dict[float, tuple[Trial, float]]] = {}
    for trial in results.finished:
        key = level(trial, fields), trial.class_key, trial.value("seed")
        curves.setdefault(key, {})[float(trial.value(P))] = (
            trial,
            trial.final(results.headline) or 0.0,
        )
    groups: dict[Level, Group] = {}
    for (arm, _, _), curve in curves.items():
        change = slope(list(curve), [value for _, value in curve.values()])
        if change is not None:
            groups.setdefault(arm, Group()).add(next(iter(curve.values()))[0], change)
    body: list[list[Cell]] = [
        [
            label(fields, arm),
            (points(group.mean / 10), _tenth(group)),
            str(group.n),
        ]
        for arm in levels_of(results, results.finished, fields)
        if (group := groups.get(arm))
    ]
    return Table(
        "What 10 % of pollution costs: least-squares slope of AUROC against p for each class and "
        "seed, in points for each 0.1 of p; mean, [95 % interval], n curves.",
        ["arm", "points for 10 %", "n"],
        body,
    )


def _tenth(group: Group) -> str:
    bounds = group.bounds
    return points_interval((bounds[0] / 10, bounds[1] / 10)) if bounds else ""


def _heat(results: Results) -> Pictures:
    norms = levels_of(results, results.finished, ["norm"])
    groups = grouped(
        results.finished,
        lambda trial: (level(trial, ["norm"]), trial.value(P), trial.value(BATCH)),
        lambda trial: trial.final(results.headline),
    )
    values = [group.mean for group in groups.values()]
    shares, sizes = (sorted({key[at] for key in groups}) for at in (1, 2))
    pictures = []
    for norm in norms:
        cells = {
            (row, column): groups[norm, p, size].mean
            for row, p in enumerate(shares)
            for column, size in enumerate(sizes)
            if (norm, p, size) in groups
        }
        name = f"norm {value_text(norm[0])}"
        svg = heat_map(
            name,
            cells,
            rows=("pollution", [value_text(p) for p in shares]),
            columns=("batch size", [value_text(size) for size in sizes]),
            span=(min(values), max(values)),
        )
        said = ", ".join(
            f"p {value_text(shares[row])} batch {value_text(sizes[column])}: {100 * value:.1f}"
            for (row, column), value in cells.items()
        )
        pictures.append(Picture(f"heat {name}", svg, f"AUROC in %, {name}. {said}."))
    caption = "Mean AUROC in % by batch size and pollution, one scale for all maps"
    return Pictures(caption + averaged_over(results, ["norm", P, BATCH]), pictures)
