"""The next model of the list: chosen, trained or continued, and written down."""

from dataclasses import replace
from pathlib import Path

import torch
from paper_results import Trained, facts_of, read, rows_of, write
from paper_run import Run

from nsa_core import DivergedError, TrialConfig
from nsa_core.training import Pulse, train
from nsa_core.training.packing import own_stream

CHECKPOINT_EVERY_S = 60.0


class OutOfTimeError(Exception):
    """The deadline has passed and a checkpoint has been written in this run, or it is stopped."""


def train_next(run: Run) -> bool:
    """Train the next model, or go on with one that was interrupted; False if none fits.

    Several threads may do so at once.
    """
    with run.turn:
        config = None if run.stopped else _interrupted(run) or _next(run)
        if config is None:
            return False
        run.begun += 1
        run.training[run.id_of(config)] = config
    try:
        with own_stream(run.device):
            train_model(run, config)
    except OutOfTimeError:
        run.say(f"{_title(run, config)}: out of time; the next run goes on with it")
        return False
    finally:
        with run.turn:
            del run.training[run.id_of(config)]
    return True


def _interrupted(run: Run) -> TrialConfig | None:
    """A model on this data that has begun, and whose checkpoint is here."""
    for identity, each in run.trained.items():
        config = each.config
        how = config.precision, config.compile
        if (
            not each.ended
            and identity not in run.training
            and run.id_of(config) == identity
            and how == (run.plan.precision, run.plan.compile)
            and _checkpoint(run, identity).exists()
        ):
            return config
    return None


def _next(run: Run) -> TrialConfig | None:
    """The first of the list that is not there at this length, if it fits.

    The first of a run, as many as train at once, are begun in any case, so that it gets on.
    """
    longest: dict[str, int] = {}
    for identity, each in run.trained.items():
        config = each.config
        if each.ended and run.id_of(config) == identity:
            longest[_model(config)] = max(longest.get(_model(config), 0), config.budget)
    now = {_model(config) for config in run.training.values()}
    for _, full in run.plan.models():
        have = longest.get(_model(full), 0)
        if _model(full) in now or have >= full.budget:
            continue
        config = run.at_length(full)
        if have >= config.budget:
            continue
        if run.begun >= run.at_once and (run.left() < 0 or run.forecast(config) > run.left()):
            run.say("the next model does not fit any more")
            return None
        return config
    run.say("the whole list is there at this length")
    return None


def _model(config: TrialConfig) -> str:
    """Equal for trainings that differ in their length alone."""
    return replace(config, budget=1).canonical()


def train_model(run: Run, config: TrialConfig) -> None:
    """Train one model to its end, from its checkpoint if there is one, and write it down.

    Raises:
        OutOfTimeError: after the deadline.
    """
    identity = run.id_of(config)
    path, checkpoint = run.folder / f"{identity}.parquet", _checkpoint(run, identity)
    split = run.data.split(config)
    name = run.data.train.class_names[config.normal_class]
    title = _title(run, config)
    run.say(f"{title}: {config.budget} epochs")
    facts = {
        **facts_of(config, run.data.fingerprint),
        "class_name": name,
        "classes": len(run.data.classes),
        "train_images": len(split.train_images),
        "device": run.device_name,
        "at_once": run.at_once,
        "torch": torch.__version__,
    }
    before = run.trained.get(identity) if checkpoint.exists() else None
    rows = before.rows if before else []
    written = _stamp(checkpoint)

    def stop_in_time(_: Pulse) -> None:
        if run.stopped or (run.left() < 0 and _stamp(checkpoint) != written):
            raise OutOfTimeError

    def keep(status: str) -> None:
        write(path, [{**row, "status": status} for row in rows])
        with run.book:
            run.trained = {**run.trained, identity: read(path)}

    evaluations = train(config, split, run.device, checkpoint, CHECKPOINT_EVERY_S, stop_in_time)
    try:
        for evaluation in evaluations:
            rows = [row for row in rows if row["epoch"] < evaluation.epoch]
            rows += rows_of(facts, evaluation)
            keep("finished" if evaluation.step == evaluation.total_steps else "training")
            run.say(f"{title}: {_told(run.trained[identity])}")
    except DivergedError as error:
        run.say(f"{title}: {error}")
        rows = [*rows, {**facts, "epoch": error.epoch, "step": error.step}]
        keep("diverged")
    checkpoint.unlink(missing_ok=True)


def _title(run: Run, config: TrialConfig) -> str:
    norm, batch = config.norm.value, config.batch_size
    name = run.data.train.class_names[config.normal_class]
    return (
        f"{config.method} {norm}, batch {batch}, p {config.pollution:g}, seed {config.seed}, {name}"
    )


def _told(trained: Trained) -> str:
    scores = ", ".join(f"{name} {100 * trained.auroc(name):.1f}" for name in ("k-cos", "c-cos"))
    return f"epoch {trained.last['epoch']}: {scores}, kappa {trained.last['kappa']:.0f}"


def _checkpoint(run: Run, identity: str) -> Path:
    return run.folder / f"{identity}.pt"


def _stamp(path: Path) -> int:
    """When the file was written, 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0
