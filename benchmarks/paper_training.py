"""The next model of the list: chosen, trained or continued, and written down."""

from dataclasses import replace
from pathlib import Path

import torch
from paper_results import Trained, facts_of, read, rows_of, write
from paper_run import Run

from nsa_core import DivergedError, TrialConfig
from nsa_core.training import Pulse, train

CHECKPOINT_EVERY_S = 60.0


class OutOfTimeError(Exception):
    """The deadline has passed, and a checkpoint has been written in this run."""


def train_next(run: Run) -> bool:
    """Train the next model, or go on with one that was interrupted; False if none fits."""
    config = _interrupted(run) or _next(run)
    if config is None:
        return False
    run.begun += 1
    try:
        train_model(run, config)
    except OutOfTimeError:
        print(f"[{run.clock()}] out of time; the next run goes on with this model")
        return False
    return True


def _interrupted(run: Run) -> TrialConfig | None:
    """A model on this data that has begun, and whose checkpoint is here."""
    for identity, each in run.trained.items():
        config = each.config
        if (
            not each.ended
            and run.id_of(config) == identity
            and config.precision == run.plan.precision
            and _checkpoint(run, identity).exists()
        ):
            return config
    return None


def _next(run: Run) -> TrialConfig | None:
    """The first of the list that is not there at this length, if it fits.

    The first of a run is begun in any case, so that every run gets on.
    """
    longest: dict[str, int] = {}
    for identity, each in run.trained.items():
        config = each.config
        if each.ended and run.id_of(config) == identity:
            key = replace(config, budget=1).canonical()
            longest[key] = max(longest.get(key, 0), config.budget)
    for _, full in run.plan.models():
        have = longest.get(replace(full, budget=1).canonical(), 0)
        if have >= full.budget:
            continue
        config = run.at_length(full)
        if have >= config.budget:
            continue
        if run.begun and (run.left() < 0 or run.forecast(config) > run.left()):
            print(f"[{run.clock()}] the next model does not fit any more")
            return None
        return config
    print(f"[{run.clock()}] the whole list is there at this length")
    return None


def train_model(run: Run, config: TrialConfig) -> None:
    """Train one model to its end, from its checkpoint if there is one, and write it down.

    Raises:
        OutOfTimeError: after the deadline.
    """
    identity = run.id_of(config)
    path, checkpoint = run.folder / f"{identity}.parquet", _checkpoint(run, identity)
    split = run.data.split(config)
    name = run.data.train.class_names[config.normal_class]
    print(f"[{run.clock()}] {_title(config)}, {name}: {config.budget} epochs", flush=True)
    facts = {
        **facts_of(config, run.data.fingerprint),
        "class_name": name,
        "classes": len(run.data.classes),
        "train_images": len(split.train_images),
        "device": run.device_name,
        "torch": torch.__version__,
    }
    before = run.trained.get(identity) if checkpoint.exists() else None
    rows = before.rows if before else []
    written = _stamp(checkpoint)

    def stop_in_time(_: Pulse) -> None:
        if run.left() < 0 and _stamp(checkpoint) != written:
            raise OutOfTimeError

    def keep(status: str) -> None:
        write(path, [{**row, "status": status} for row in rows])
        run.trained[identity] = read(path)

    evaluations = train(config, split, run.device, checkpoint, CHECKPOINT_EVERY_S, stop_in_time)
    try:
        for evaluation in evaluations:
            rows = [row for row in rows if row["epoch"] < evaluation.epoch]
            rows += rows_of(facts, evaluation)
            keep("finished" if evaluation.step == evaluation.total_steps else "training")
            print(f"[{run.clock()}]   {_told(run.trained[identity])}", flush=True)
    except DivergedError as error:
        print(f"[{run.clock()}]   {error}")
        rows = [*rows, {**facts, "epoch": error.epoch, "step": error.step}]
        keep("diverged")
    checkpoint.unlink(missing_ok=True)


def _title(config: TrialConfig) -> str:
    norm, batch = config.norm.value, config.batch_size
    return f"{config.method} {norm}, batch {batch}, p {config.pollution:g}, seed {config.seed}"


def _told(trained: Trained) -> str:
    scores = ", ".join(f"{name} {100 * trained.auroc(name):.1f}" for name in ("k-cos", "c-cos"))
    return f"epoch {trained.last['epoch']}: {scores}, kappa {trained.last['kappa']:.0f}"


def _checkpoint(run: Run, identity: str) -> Path:
    return run.folder / f"{identity}.pt"


def _stamp(path: Path) -> int:
    """When the file was written, 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0
