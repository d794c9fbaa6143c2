"""The encoder of a study's best trials in MLflow: ``python -m studies.mlflow_model STORE``.

The model maps images in [0, 1], float32 [N, C, H, W], to embeddings, float32 [N, d]. It is an
exported graph with its weights (torch's ``pt2``): it loads without this project and without pickle.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
import numpy as np
import numpy.typing as npt
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import nn

from nsa_core import InputError, TrialConfig
from nsa_core.training import build_method
from nsa_core.training.checkpoint import load_checkpoint
from studies.trial.data import split_of
from tracking import Store, StoreError, TrialRecord, open_store
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri
from tracking.report.results import load_results
from tracking.report.versions import counted
from tracking.text import printable, without_passwords

_EXAMPLES = 2  # torch takes a batch of one for a constant
_MODEL = "nsa.model"
_VARIABLE = "MLFLOW_TRACKING_URI"


def log_best(
    store: Store,
    study: str,
    tracking_uri: str,
    headline: str | None = None,
    count: int = 1,
    data_root: str | None = None,
) -> list[str]:
    """Add the encoders of the best finished trials to their runs, where they are not there yet.

    The best are those with the highest AUROC of the headline on the embedding at the last epoch.
    That is seen with the test's labels: it is good for showing a model, and nothing selects by it.

    Args:
        store: with the trials and their checkpoints.
        study: whose trials.
        tracking_uri: of MLflow, which is brought up to date first.
        headline: a scorer; None for the study's own.
        count: how many trials.
        data_root: folder of the data sets.

    Returns:
        Addresses of the models, the best first, for ``mlflow.pyfunc.load_model``.

    Raises:
        StoreError: no trial of the study has finished with a score of this name.
        InputError: the data or a checkpoint is not there, or is not that of the trial.
    """
    headline = headline or str(store.about(study).get("headline", "c-cos"))
    best = best_trials(store, study, headline)[:count]
    mirror = MlflowMirror(store, study, tracking_uri)
    mirror.sync()
    found = []
    for record in best:
        run_id = str(mirror.run_of(record))  # there since the sync
        known = mirror.client.get_run(run_id).data.tags.get(_MODEL)
        if known is None:
            encoder, examples = trained_encoder(record, data_root)
            model = mirror.client.create_logged_model(mirror.experiment, "encoder", run_id)
            with _tracking(tracking_uri):
                known = _log(encoder, examples, run_id, model.model_id)
            mirror.client.set_tag(run_id, _MODEL, known)  # last: the model is whole
        found.append(str(known))
    return found


def best_trials(store: Store, study: str, headline: str) -> list[TrialRecord]:
    """The study's finished trials by AUROC of the headline at the last epoch, the best first; of
    those alone that a report compares.
    """
    trials = counted(load_results(store, study).trials, headline)
    found = [trial for trial in trials if trial.final(headline) is not None]
    if not found:
        raise StoreError(f"study {study!r}: no finished trial with a score {headline!r}")
    ranked = sorted(found, key=lambda trial: trial.final(headline) or 0.0, reverse=True)
    return [store.trial(trial.trial_id) for trial in ranked]


def trained_encoder(
    record: TrialRecord, data_root: str | None
) -> tuple[nn.Module, npt.NDArray[np.float32]]:
    """The encoder in evaluation mode, and test images in [0, 1], float32 [2, C, H, W].

    Raises:
        InputError: the data or the checkpoint is not there, or is not that of the trial.
    """
    definition = record.definition()
    config = TrialConfig.from_dict(definition["config"])
    split = split_of(config, data_root, definition["data_fingerprint"])
    state = load_checkpoint(record.checkpoint, config.canonical(), split.fingerprint)
    if state is None:
        raise InputError(f"{record.checkpoint} does not exist; train the trial again")
    method = build_method(config)
    method.load_state_dict(state["method"])
    encoder: nn.Module = method.encoder.eval().to(memory_format=torch.contiguous_format)
    return encoder, split.test_images[:_EXAMPLES].astype(np.float32) / np.float32(255)


def _log(encoder: nn.Module, examples: npt.NDArray[np.float32], run_id: str, model_id: str) -> str:
    with torch.inference_mode():
        embeddings = encoder(torch.from_numpy(examples)).numpy()
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), (-1, *examples.shape[1:]))]),
        Schema([TensorSpec(np.dtype(np.float32), (-1, embeddings.shape[1]))]),
    )
    packages = (("mlflow", mlflow), ("numpy", np), ("torch", torch))
    logged = Model.log(
        artifact_path=None,
        flavor=mlflow.pytorch,
        model_id=model_id,
        run_id=run_id,  # no active run: its end would become the run's
        pytorch_model=encoder,
        serialization_format="pt2",
        input_example=examples,
        signature=signature,
        pip_requirements=[f"{n}=={p.__version__.partition('+')[0]}" for n, p in packages],
    )
    return str(logged.model_uri)


@contextmanager
def _tracking(uri: str) -> Iterator[None]:
    """MLflow's models go where its module points."""
    before, variable = mlflow.get_tracking_uri(), os.environ.get(_VARIABLE)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # which sets the variable, too: a user's own stays
        os.environ.pop(_VARIABLE)
        if variable is not None:
            os.environ[_VARIABLE] = variable


def main(arguments: list[str] | None = None) -> int:
    """Add models for every study of the store, or for the one named."""
    parser = argparse.ArgumentParser(prog="python -m studies.mlflow_model", description=__doc__)
    parser.add_argument("store", help="folder of the store")
    parser.add_argument("--study", help="only this study")
    parser.add_argument("--tracking-uri", help="default: an SQLite database inside the store")
    parser.add_argument("--headline", help="the score to choose by; default: the study's own")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="trials of each study")
    parser.add_argument("--data-root", metavar="DIR", help="folder that holds the data sets")
    options = parser.parse_args(arguments)
    try:
        if options.count < 1:
            raise InputError(f"--count is {options.count}; need at least 1")
        store = open_store(options.store)
        uri = tracking_uri(store, options.tracking_uri)
        with store.writing("python -m studies.mlflow_model"):
            for study in [options.study] if options.study else store.studies():
                for model in log_best(
                    store, study, uri, options.headline, options.count, options.data_root
                ):
                    print(f"{study}: {model}")
    except (InputError, StoreError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except MlflowException as error:
        reason = str(error).partition("\n")[0]
        said = without_passwords(f"error: MLflow at {uri}: {reason}")
        print(printable(said), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
