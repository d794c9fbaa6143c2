"""Where a store is mirrored to: ``python -m tracking.mlflow.place STORE`` prints its database."""

import os
import sys
from pathlib import Path
from urllib.parse import quote

from tracking.errors import StoreError
from tracking.files.objects import ObjectPath
from tracking.store import Store

DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"


def tracking_uri(store: Store, given: str | None = None) -> str:
    """The URI that was given, else that of ``MLFLOW_TRACKING_URI``, else an SQLite database: inside
    the store or, for a store in object storage, below ``results/`` in the working directory.
    """
    if uri := given or os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    root = store.root
    folder = Path("results", root.name) if isinstance(root, ObjectPath) else root
    return sqlite_uri(folder / DATABASE)


def sqlite_uri(database: Path) -> str:
    """URI of an SQLite database that MLflow opens at this very path.

    What reads the URI takes "?" for the end of the path and "%20" for a space, so other characters
    than plain ones are escaped; slashes then too, because MLflow makes the folder that the path
    names before anything is decoded.

    Raises:
        StoreError: the path is no UTF-8, which no URI can hold.
    """
    path = str(database.absolute())
    try:
        plain = quote(path) == path
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{path} is not UTF-8, and MLflow has no name for it; give another --tracking-uri"
        ) from error
    return f"sqlite:///{path if plain else quote(path, safe='')}"


if __name__ == "__main__":
    print(sqlite_uri(Path(sys.argv[1], DATABASE)))
