"""The detectors of a study's best trials in MLflow: ``python -m studies.mlflow_model STORE``.

A model maps images, uint8 [N, C, H, W], to two arrays by name: "score", float64 [N], higher is more
anomalous, and "flagged", bool [N]. It is an ONNX file of the trained encoder and the headline's
scorer: it loads without this project and without pickle, as ``mlflow.pyfunc`` and in MLflow's
server.

Flagged is what scores above a threshold of the training split: of the normal images that the trial
withheld (``held_out``), at most 5 % do on average. A trial that withheld none, or
too few, has leave-one-out scores of its training images in their place. The encoder has seen those,
so more than that rate of new images may be flagged: the model's metadata says which.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from nsa_core import InputError
from nsa_core.errors import first_line
from studies.trial.detector import TrialDetector, trained_detector
from tracking import Store, StoreError, TrialRecord, open_store
from tracking.mlflow.mirror import MlflowMirror
from tracking.mlflow.place import tracking_uri
from tracking.report.results import load_results
from tracking.report.versions import counted, is_ranked
from tracking.selection import last_value
from tracking.text import printable, without_passwords

_REQUIRED = ("mlflow", "numpy", "onnx", "onnxruntime")
_MODEL = "nsa.detector."  # and the scorer: the address of the model, in a tag of the run
_VARIABLE = "MLFLOW_TRACKING_URI"


def log_best(
    store: Store,
    study: str,
    tracking_uri: str,
    headline: str | None = None,
    count: int = 1,
    data_root: str | None = None,
) -> list[str]:
    """Add the detectors of the best finished trials to their runs, where they are not there yet.

    The best are those with the highest AUROC of the headline on the embedding at the last epoch.
    That is seen with the test's labels: it is good for showing a model, and nothing selects by it.
    Without test outliers the best trials are those with the highest kappa of the training images.

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
        known = mirror.client.get_run(run_id).data.tags.get(_MODEL + headline)
        if known is None:
            detector = trained_detector(record, headline, data_root)
            model = mirror.client.create_logged_model(mirror.experiment, "detector", run_id)
            with _tracking(tracking_uri):
                known = _log(detector, run_id, model.model_id)
            mirror.client.set_tag(run_id, _MODEL + headline, known)  # last: the model is whole
        found.append(str(known))
    return found


def best_trials(store: Store, study: str, headline: str) -> list[TrialRecord]:
    """The study's finished trials by AUROC of the headline at the last epoch, the best first; of
    those alone that a report compares. Without test outliers, by kappa of the training images.
    """
    trials = load_results(store, study).trials
    found = counted(trials, headline)
    if is_ranked(trials):
        values = {trial.trial_id: trial.final(headline) for trial in found}
    else:
        values = {
            trial.trial_id: last_value(store.trial(trial.trial_id).signals(), "kappa")
            for trial in found
        }
    known = {key: value for key, value in values.items() if value is not None}
    if not known:
        raise StoreError(f"study {study!r}: no finished trial with a score {headline!r}")
    return [store.trial(key) for key in sorted(known, key=lambda key: -known[key])]


def _log(detector: TrialDetector, run_id: str, model_id: str) -> str:
    shape = detector.examples.shape[1:]
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, *shape))]),
        Schema(
            [
                TensorSpec(np.dtype(np.float64), (-1,), "score"),
                TensorSpec(np.dtype(np.bool_), (-1,), "flagged"),
            ]
        ),
    )
    logged = Model.log(
        artifact_path=None,
        flavor=mlflow.onnx,
        model_id=model_id,
        run_id=run_id,  # no active run: its end would become the run's
        onnx_model=detector.graph,
        input_example=detector.examples,
        signature=signature,
        metadata=detector.about,
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIRED],
        save_as_external_data=False,
        onnx_execution_providers=["CPUExecutionProvider"],
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
        reason = first_line(error)
        said = without_passwords(f"error: MLflow at {uri}: {reason}")
        print(printable(said), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
