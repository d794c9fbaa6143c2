"""Bring MLflow up to date with a store: ``nsa sync STORE`` (``python -m tracking.mlflow_sync``)."""

import argparse
import gc
import sys
import time

from tracking.errors import StoreError
from tracking.mlflow.place import tracking_uri
from tracking.opening import open_store
from tracking.text import clock, print_anything, printable, without_passwords

_EVERY_S = 5.0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="nsa sync", description=__doc__)
    made.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    made.add_argument("--study", help="only this study")
    made.add_argument(
        "--tracking-uri", help="default: MLFLOW_TRACKING_URI, else SQLite in the store"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Sync every study of the store, or the one named; 1 if MLflow fails, 2 for bad input."""
    print_anything()
    options = parser().parse_args(arguments)
    from mlflow.exceptions import MlflowException  # slow to import, and --help is not

    from tracking.mlflow.mirror import MlflowMirror

    # MLflow makes dozens of objects a value; to look for cycles as often cost a fifth of the time.
    gc.set_threshold(100_000, 50, 50)
    try:
        store = open_store(options.store)
        studies = store.chosen(options.study)
        uri = tracking_uri(store, options.tracking_uri)
        with store.writing("nsa sync"):  # a study syncs by itself
            for study in studies:
                print(f"{study}: bringing MLflow up to date", file=sys.stderr, flush=True)
                touched = MlflowMirror(store, study, uri).finish(_Watch(study))
                print(f"{study}: {len(store.members(study))} trials, {touched} brought up to date")
    except (StoreError, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except MlflowException as error:
        reason = str(error).partition("\n")[0]  # a database's goes on with its SQL
        said = without_passwords(f"MLflow at {uri}: {reason}")
        print(f"error: {printable(said)}; the same command goes on", file=sys.stderr)
        return 1
    return 0


class _Watch:
    """Prints how far a sync is, and about how long it will take, every few seconds."""

    def __init__(self, study: str) -> None:
        self._study = study
        self._started = self._printed = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._printed > _EVERY_S:
            self._printed = now
            left = clock((now - self._started) * (total - done) / done)
            text = f"{self._study}: {done} of {total} trials, about {left} left"
            print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
