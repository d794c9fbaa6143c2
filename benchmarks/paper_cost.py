"""Which models of the paper's tables are missing, and the device-hours spent and left."""

from collections import defaultdict
from collections.abc import Sequence

from hardware import markdown_table, number
from paper_plan import SEEDS, Arm
from paper_run import CLASSES, Run

from nsa_core import TrialConfig

HEADER = (
    "model", "p", "batch", "missing", "of them seed 0", "pairs/s", "hours left", "of them seed 0"
)  # fmt: skip


def costs(run: Run, arms: Sequence[Arm]) -> list[str]:
    """Paragraphs: the table of missing models, hours left and hours spent."""
    unique = {(a.method, a.norm, a.pollution, a.batch_size): a for a in reversed(arms)}
    listed = [arm for arm in arms if arm in unique.values()]  # Tables 1 and 3 share models
    rows, first, every, unknown = [], 0.0, 0.0, 0
    for arm in listed:
        missing = [_missing(run, arm, seed) for seed in SEEDS]
        count = sum(map(len, missing))
        head = [arm.name, f"{arm.pollution:g}", str(arm.batch_size), str(count)]
        speed = run.known_speed(run.plan.config(arm, run.data.classes[0], 0))
        cells = ["not measured", "", ""]
        if speed is None:
            unknown += count
        else:
            seconds = [sum(speed.seconds(*each) for each in one) for one in missing]
            hours = [each / run.at_once / 3600 for each in seconds]
            first, every = first + hours[0], every + sum(hours)
            cells = [
                number(run.at_once * speed.images_per_second),
                f"{sum(hours):.2f}",
                f"{hours[0]:.2f}",
            ]
        rows.append([*head, str(len(missing[0])), *cells])
    absent = [name for name in CLASSES if name not in run.data.train.class_names]
    left = (
        f"Left on {run.device_name}: {every:.2f} device-hours, {first:.2f} of them for the first "
        f"of {len(SEEDS)} seeds"
    )
    if unknown:
        left += f", and {unknown} models of kinds whose speed was not measured there"
    return [
        "Models that are not there at the paper's length, of the classes in the last run's data"
        + (f" (which lacks {', '.join(absent)})" if absent else "")
        + ". Hours are for the paper's lengths at the measured speed, as many models at once as in "
        f"the last run ({run.at_once}); pairs/s are of all of them.",
        markdown_table(HEADER, rows),
        f"{left}.",
        _spent(run),
    ]


def _missing(run: Run, arm: Arm, seed: int) -> list[tuple[TrialConfig, int]]:
    """Configuration and number of images of every missing model."""
    configs = [run.plan.config(arm, normal_class, seed) for normal_class in run.data.classes]
    ended = {name for name, each in run.trained.items() if each.ended}
    return [(c, run.data.images(c)) for c in configs if run.id_of(c) not in ended]


def _spent(run: Run) -> str:
    """Hours in the results, by device; what an interruption lost is not among them."""
    seconds: dict[str, float] = defaultdict(float)
    for each in run.trained.values():
        for row in each.epochs():
            taken = row["train_seconds"] + row["evaluate_seconds"]
            seconds[row["device"]] += taken / row["at_once"]
    told = [f"{value / 3600:.2f} on {name}" for name, value in sorted(seconds.items())]
    return f"Spent so far, in device-hours: {'; '.join(told) or 'none'}."
