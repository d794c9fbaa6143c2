"""Keeps MLflow up to date beside a running study, and never holds the study up."""

import logging
import threading

from tracking.store import Store

_LOG = logging.getLogger(__name__)


class MlflowThread:
    """The one writer to MLflow of a study: a thread that syncs every few seconds.

    If MLflow fails or is not there, that is said once, the study goes on, and
    ``python -m tracking.mlflow_sync`` makes up for it later.
    """

    def __init__(self, store: Store, study: str, tracking_uri: str, every_s: float = 3.0) -> None:
        self.store, self.study, self.tracking_uri, self.every_s = (
            store,
            study,
            tracking_uri,
            every_s,
        )
        self.failure = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow-mirror", daemon=True)

    def start(self) -> None:
        """Begin to sync in the background."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Sync a last time and stop; False if that failed or took longer than the timeout."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self.failure

    def _run(self) -> None:
        mirror = None
        while True:
            last = self._stop.is_set()
            try:
                if mirror is None:
                    from tracking.mlflow_mirror import MlflowMirror  # slow to import

                    mirror = MlflowMirror(self.store, self.study, self.tracking_uri)
                mirror.finish() if last else mirror.sync()
                self.failure = ""
            except Exception as error:  # the mirror is a view; whatever ails it, the study goes on
                if not self.failure:
                    _LOG.warning(
                        "MLflow at %s does not answer (%s); the study goes on without it",
                        self.tracking_uri,
                        str(error).splitlines()[0] if str(error) else type(error).__name__,
                    )
                self.failure = str(error) or type(error).__name__
                mirror = None
            if last:
                return
            self._stop.wait(self.every_s)
