"""One trial from configuration to recorded results; knows nothing of Ray."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch

from nsa_core import (
    DivergedError,
    Evaluation,
    InputError,
    OneClassSplit,
    TrialConfig,
    train,
)
from nsa_core.training import Pulse, UnusableCheckpointError, score_versions
from studies.trial.data import absent, images_of, split_of
from studies.trial.energy import EnergyMeter
from studies.trial.failures import (
    check_usable,
    checked_store,
    is_out_of_memory,
    out_of_memory,
)
from studies.trial.machine import machine_facts, usage
from studies.trial.rows import PASSES, dynamics_row, extremes, passes, score_rows, test_scores
from tracking import ENDED, TrialRecord
from tracking.files.place import StorePath, set_aside


def run_trial(
    record: TrialRecord,
    data_root: str | None,
    device: torch.device,
    on_epoch: Callable[[Pulse], None] | None = None,
    alone: bool = True,
) -> Generator[Evaluation, None, None]:
    """Train what the record says, from its checkpoint if there is one, and record every epoch.

    ``alone`` in its process it also records its peak memory.

    The record ends as finished, collapsed, diverged or (bad input) failed; a trial that has ended
    is left alone. Any other error is written to the record and raised, to be tried again. A
    checkpoint that cannot be continued is set aside, and the record says so.

    Raises:
        UnusableStoreError: the store's disk is full, or it cannot be used for another reason; the
            record is left as it is, to be gone on with.
    """
    store = record.folder.parent.parent
    with checked_store(store), record.claim():
        if (status := record.state()["status"]) in ENDED and status != "failed":
            return
        noted = record.state()  # of an attempt that was interrupted after its last evaluation
        before = {name: noted[name] for name in PASSES if name in noted}
        versions = _score_versions(record)
        record.begin({**machine_facts(device), "score_versions": versions, **before})
        meter = EnergyMeter(torch.get_num_threads())
        facts: dict[str, Any] = {}

        def end(status: str, message: str = "") -> None:
            record.end(status, message, **usage(device, meter, alone), **facts)

        try:
            definition = record.definition()
            config = TrialConfig.from_dict(definition["config"])
            split = split_of(config, data_root, definition["data_fingerprint"])
            facts |= {
                "train_images": len(split.train_images),
                "pollution_images": int(split.is_pollution.sum()),
                "test_images": len(split.test_images),
            }
            if not split.test_is_outlier.any():
                facts["absent"] = absent(len(split.test_images))
            record.write_artifact("pollution", _pollution(config, split))
            told = _noting(facts, on_epoch)
            for evaluation in _train(config, split, device, record.checkpoint, facts, told):
                if evaluation.share == 1:
                    record.note(**passes(evaluation))  # it may be interrupted before it ends
                    _, test = images_of(config.dataset, data_root)
                    if test is not None:
                        record.write_artifact("test_scores", test_scores(evaluation, split))
                        record.write_artifact("extremes", extremes(evaluation, split, test))
                record.add(dynamics_row(evaluation), score_rows(evaluation))
                yield evaluation
        except DivergedError as error:
            end("diverged", str(error))
            return
        except InputError as error:
            end("failed", str(error))
            return
        except Exception as error:
            check_usable(error, store)
            name = type(error).__name__
            memory = is_out_of_memory(error)
            end("failed", out_of_memory(f"{name}: {error}") if memory else f"{name}: {error}")
            raise
        last = record.dynamics().to_pylist()[-1]
        if last["collapsed"]:
            message = (
                f"spread of embeddings {last['spread_train']:.3g}, "
                f"of projections {last['projection_spread_train']:.3g}"
            )
            end("collapsed", message)
        else:
            end("finished")


def _train(
    config: TrialConfig,
    split: OneClassSplit,
    device: torch.device,
    checkpoint: StorePath,
    facts: dict[str, Any],
    on_epoch: Callable[[Pulse], None] | None,
) -> Iterator[Evaluation]:
    """Train on, or from the start where the checkpoint cannot be continued: the numbers are the
    same. It is kept under another name, and ``facts`` says so.
    """
    try:
        yield from train(config, split, device, checkpoint, on_epoch=on_epoch)
        return
    except UnusableCheckpointError as error:  # before the first step
        aside = set_aside(checkpoint)
        facts["set_aside"] = f"{error} (done: it is now {aside.name})"
    yield from train(config, split, device, checkpoint, on_epoch=on_epoch)


def _noting(
    facts: dict[str, Any], on_epoch: Callable[[Pulse], None] | None
) -> Callable[[Pulse], None]:
    """``on_epoch``, after ``facts`` were told how compiling went."""

    def told(pulse: Pulse) -> None:
        if pulse.compilation is not None:
            facts["compile_seconds"] = pulse.compilation.seconds
            facts["not_compiled"] = pulse.compilation.failure
        if on_epoch is not None:
            on_epoch(pulse)

    return told


def _score_versions(record: TrialRecord) -> dict[str, int]:
    """Of the scores that it records; without those whose earlier epochs are of another version."""
    now = score_versions()
    if not (record.folder / "scores.parquet").exists():
        return now
    before = record.state().get("score_versions") or {}
    return {name: version for name, version in now.items() if before.get(name) == version}


def _pollution(config: TrialConfig, split: OneClassSplit) -> dict[str, Any]:
    return {
        "pollution": config.pollution,
        "train_images": len(split.train_images),
        "indices": split.train_indices[split.is_pollution].tolist(),
        "test_images_in_training": split.test_in_training.tolist(),
    }
