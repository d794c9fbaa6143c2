"""The experiment of a study: MLflow opened, or one line why not, and artifacts kept in one place.

Artifacts of an SQLite database lie beside it, in ``mlflow-artifacts/STUDY``. MLflow notes that
place as an absolute one, so a database that was moved or copied with its store would write into its
old place: what it has noted is corrected before anything is written.
"""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic.util import CommandError
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tracking.mlflow.place import ARTIFACTS

_LOG = logging.getLogger(__name__)
_NOTED = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
_BESIDE = ("", "-journal", "-wal", "-shm")  # a database, and what SQLite writes beside it
_PATIENCE_S = 5.0  # for another process to be done with the database


def open_experiment(study: str, uri: str) -> tuple[MlflowClient, str, Path | None]:
    """A client, the id of the study's experiment, which is created or restored where needed, and
    the database beside which its artifacts lie; None where a server has them.

    Raises:
        MlflowException: MLflow cannot be used; in one line.
    """
    database = _database(uri)
    folder = _folder(database, study) if database else None
    if database and folder:
        _check(database)
        _check_links(folder.parent, folder)
    try:
        client = MlflowClient(uri)
        found = client.get_experiment_by_name(study)
    except (SQLAlchemyError, CommandError, OSError, ImportError) as error:
        raise MlflowException(str(error).partition("\n")[0]) from error
    if found is None:
        place = folder.as_uri() if folder else None
        return client, str(client.create_experiment(study, artifact_location=place)), database
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if database and folder:
        if found.artifact_location != folder.as_uri():
            _correct(database, found, folder.as_uri())
        _check_runs(database, found, folder.as_uri())
    return client, str(found.experiment_id), database


def keep_files(database: Path, study: str, run_id: str, files: Path) -> None:
    """Keep files as artifacts of a run, in the folder of its experiment.

    MLflow's client remembers where it has last written a run's, whatever the database says since.

    Raises:
        MlflowException: a link, or a database that is not there any more: nothing is made anew
            where a store was moved away.
    """
    folder = _folder(database, study)
    place = folder / run_id / "artifacts"
    _check_links(folder / run_id, place)
    if not database.is_file():
        raise MlflowException(f"{database} is not there any more")
    for each in (folder.parent, folder, place.parent, place):
        each.mkdir(exist_ok=True)
    for path in files.iterdir():
        (place / path.name).unlink(missing_ok=True)  # or a link would be written through
        shutil.copyfile(path, place / path.name)


def _folder(database: Path, study: str) -> Path:
    return database.parent.resolve() / ARTIFACTS / study


def _check_links(*paths: Path) -> None:
    """Raise if one of the paths is a symbolic link: it could lead anywhere."""
    for path in paths:
        if path.is_symlink():
            raise MlflowException(f"{path} is a link; move it away, and it is made anew")


def _database(uri: str) -> Path | None:
    """The file of an SQLite database; None of another backend, and of one in memory."""
    if not uri.startswith("sqlite"):
        return None
    try:
        path = make_url(uri).database
    except (SQLAlchemyError, ValueError) as error:
        raise MlflowException(f"{error}; need sqlite:////ABSOLUTE/PATH") from error
    return Path(path).absolute() if path and path != ":memory:" else None


def _check(database: Path) -> None:
    """Raise if a database that is there cannot be written: MLflow would try for minutes."""
    _check_links(*(database.with_name(database.name + end) for end in _BESIDE))
    if not database.exists():
        return
    if not database.is_file():
        raise MlflowException(f"{database} is no file; move it away, and it is made anew")
    try:
        with closing(sqlite3.connect(database, _PATIENCE_S, isolation_level=None)) as connection:
            connection.execute("begin immediate")
            connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.OperationalError as error:  # locked or read-only
        raise MlflowException(f"{database}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise MlflowException(f"{database}: {error}; move it away, and it is made anew") from error


def _correct(database: Path, experiment: Experiment, place: str) -> None:
    """Write the new place wherever the database has noted the old one."""
    end = f"/{ARTIFACTS}/{experiment.name}"
    before, after = experiment.artifact_location.removesuffix(end), place.removesuffix(end)
    if before == experiment.artifact_location:
        raise MlflowException(
            f"experiment {experiment.name} keeps its artifacts at {before}, need {place}; move "
            f"{database} away, and it is made anew"
        )
    with closing(sqlite3.connect(database, _PATIENCE_S)) as connection, connection:
        for table, column in _NOTED:
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) "
                f"where substr({column}, 1, ?) = ?",
                (after, len(before) + 1, len(before) + 1, f"{before}/"),
            )
    _LOG.warning("MLflow's artifacts were below %s, and are now below %s", before, after)


def _check_runs(database: Path, experiment: Experiment, place: str) -> None:
    with closing(sqlite3.connect(database, _PATIENCE_S)) as connection:
        stray = connection.execute(
            "select run_uuid, artifact_uri from runs where experiment_id = ? "
            "and artifact_uri != ? || '/' || run_uuid || '/artifacts'",
            (experiment.experiment_id, place),
        ).fetchone()
    if stray:
        run, where = stray
        raise MlflowException(
            f"run {run} keeps its artifacts at {where}, not below {place}; move {database} away, "
            "and it is made anew"
        )
