"""Bring MLflow up to date with a store: ``python -m tracking.mlflow_sync STORE``."""

import argparse
import gc
import sys

from mlflow.exceptions import MlflowException

from tracking.errors import StoreError
from tracking.mlflow_mirror import MlflowMirror
from tracking.passwords import without_passwords
from tracking.plain_text import plain
from tracking.store import default_tracking_uri, open_store


def main(arguments: list[str] | None = None) -> int:
    """Sync every study of the store, or the one named; 1 if MLflow fails, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m tracking.mlflow_sync", description=__doc__)
    parser.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    parser.add_argument("--study", help="only this study")
    parser.add_argument(
        "--tracking-uri", help="default: an SQLite database, inside a store that is a folder"
    )
    options = parser.parse_args(arguments)
    # MLflow makes dozens of objects a value; to look for cycles as often cost a fifth of the time.
    gc.set_threshold(100_000, 50, 50)
    try:
        store = open_store(options.store)
        studies = store.chosen(options.study)
        uri = options.tracking_uri or default_tracking_uri(store)
        with store.writing("python -m tracking.mlflow_sync"):  # a study syncs by itself
            for study in studies:
                touched = MlflowMirror(store, study, uri).finish()
                print(f"{study}: {len(store.members(study))} trials, {touched} brought up to date")
    except StoreError as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except MlflowException as error:
        said = without_passwords(f"MLflow at {uri}: {error}")
        print(f"error: {plain(said)}; the same command goes on", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
