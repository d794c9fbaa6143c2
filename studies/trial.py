"""The life of one trial: configuration in, rows in the ledger out. Knows nothing of Ray."""

import socket
from collections.abc import Generator, Iterator
from functools import cache
from typing import Any

import torch

from nsa_core import (
    DivergedError,
    Evaluation,
    ImageSet,
    InputError,
    OneClassSplit,
    TrialConfig,
    load_images,
    one_class_split,
    train,
)
from nsa_core.training import UnusableCheckpointError
from studies.disk import check_space, checked_space
from studies.energy import EnergyMeter
from studies.evaluation_rows import dynamics_row, extremes, score_rows, test_scores
from studies.machine import machine_facts, usage
from studies.memory import is_out_of_memory, out_of_memory
from tracking import ENDED, TrialRecord
from tracking.storage import StorePath, set_aside


def run_trial(
    record: TrialRecord, data_root: str | None, device: torch.device
) -> Generator[Evaluation, None, None]:
    """Train what the record says, from its checkpoint if there is one, and record every epoch.

    The record ends as finished, collapsed, diverged or (bad input) failed; a trial that has ended
    is left alone. Any other error is written to the record and raised, to be tried again. A
    checkpoint that cannot be continued is set aside, and the record says so.

    Raises:
        DiskFullError: the store's disk is full; the record is left as it is, to be gone on with.
    """
    with checked_space(record.folder), record.claim():
        if (status := record.state()["status"]) in ENDED and status != "failed":
            return
        record.begin(machine_facts(device))
        meter = EnergyMeter(torch.get_num_threads())
        facts: dict[str, Any] = {}

        def end(status: str, message: str = "") -> None:
            record.end(status, message, **usage(device, meter), **facts)

        try:
            definition = record.definition()
            config = TrialConfig.from_dict(definition["config"])
            split = split_of(config, data_root, definition["data_fingerprint"])
            facts |= {
                "train_images": len(split.train_images),
                "pollution_images": int(split.is_pollution.sum()),
                "test_images": len(split.test_images),
            }
            record.write_artifact("pollution", _pollution(config, split))
            for evaluation in _train(config, split, device, record.checkpoint, facts):
                if evaluation.step == evaluation.total_steps:
                    record.write_artifact("test_scores", test_scores(evaluation, split))
                    test = _images(config.dataset, "test", data_root)
                    record.write_artifact("extremes", extremes(evaluation, split, test))
                record.add(dynamics_row(evaluation), score_rows(evaluation, split))
                yield evaluation
        except DivergedError as error:
            end("diverged", str(error))
            return
        except InputError as error:
            end("failed", str(error))
            return
        except Exception as error:
            check_space(error, record.folder)
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
) -> Iterator[Evaluation]:
    """Train on, or from the start where the checkpoint cannot be continued: the numbers are the
    same. It is kept under another name, and ``facts`` says so.
    """
    try:
        yield from train(config, split, device, checkpoint)
        return
    except UnusableCheckpointError as error:  # before the first step
        aside = set_aside(checkpoint)
        facts["set_aside"] = f"{error} (done: it is now {aside.name})"
    yield from train(config, split, device, checkpoint)


@cache  # for the worker's next trials; the fingerprint says whether it is what was planned
def _images(dataset: str, split: str, data_root: str | None) -> ImageSet:
    images = load_images(dataset, split, data_root)
    images.images.setflags(write=False)
    return images


def split_of(
    config: TrialConfig, data_root: str | None, fingerprint: str | None = None
) -> OneClassSplit:
    """A configuration's data.

    Raises:
        InputError: it is absent, or is not the data of this fingerprint.
    """
    train_set = _images(config.dataset, "train", data_root)
    test_set = _images(config.dataset, "test", data_root)
    found = f"{train_set.fingerprint}+{test_set.fingerprint}"
    if fingerprint not in (None, found):
        raise InputError(
            f"{config.dataset} on {socket.gethostname()} is not the data that the study was "
            f"planned on (fingerprint {found[:12]}, planned {str(fingerprint)[:12]})"
        )
    return one_class_split(
        train_set,
        test_set,
        config.normal_class,
        config.pollution,
        config.seed,
        config.probe_images,
        config.held_out,
    )


def _pollution(config: TrialConfig, split: OneClassSplit) -> dict[str, Any]:
    return {
        "pollution": config.pollution,
        "train_images": len(split.train_images),
        "indices": split.train_indices[split.is_pollution].tolist(),
    }
