"""Keeps MLflow up to date while a study runs, without ever blocking the study."""

import logging
import os
import threading

from tracking.store import Store
from tracking.text import without_passwords

_LOG = logging.getLogger(__name__)
_PATIENCE_S = 5.0


class MlflowThread:
    """The one writer to MLflow of a study: a thread that syncs every few seconds.

    If MLflow fails or is not there, that is said once, the study goes on, and
    ``nsa sync`` makes up for it later.

    Attributes:
        failure: why the last attempt failed; empty if it did not.
    """

    def __init__(self, store: Store, study: str, tracking_uri: str, every_s: float = 3.0) -> None:
        self.store, self.study, self.tracking_uri = store, study, tracking_uri
        self.every_s = every_s
        self.failure = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow-mirror", daemon=True)

    def start(self) -> None:
        """Begin to sync in the background."""
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")  # where a server is mute
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Sync a last time and stop; False if that failed or took longer than the timeout.

        Where the last attempt failed, five seconds are enough.
        """
        self._stop.set()
        self._thread.join(min(timeout_s, _PATIENCE_S) if self.failure else timeout_s)
        return not self._thread.is_alive() and not self.failure

    def _run(self) -> None:
        mirror = None
        while True:
            last = self._stop.is_set()
            try:
                if mirror is None:
                    from tracking.mlflow.mirror import MlflowMirror  # slow to import

                    mirror = MlflowMirror(self.store, self.study, self.tracking_uri)
                mirror.finish() if last else mirror.sync()
                self.failure = ""
            except Exception as error:  # the mirror is a view; whatever ails it, the study goes on
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                reason = without_passwords(reason)
                if not self.failure:
                    _LOG.warning(
                        "MLflow at %s is not up to date (%s); the study goes on without it",
                        without_passwords(self.tracking_uri),
                        reason,
                    )
                self.failure = reason
                mirror = None
                if self._stop.is_set():
                    return  # close() waits: a mute server is not asked a second time
            if last:
                return
            self._stop.wait(self.every_s)
