"""The state of a hold, and the error for one held by another process."""

import math
import os
import socket
import time
from datetime import UTC, datetime

from tracking.errors import StoreError
from tracking.files.place import StorePath


def this_process(purpose: str = "") -> str:
    """Describe this process to others who want the same hold."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    name = f"process {os.getpid()} on {socket.gethostname()}, since {now}"
    return f"{purpose}, {name}" if purpose else name


class HeldError(StoreError):
    """Another process holds it; ``holder`` describes that process."""

    def __init__(self, path: StorePath, holder: str) -> None:
        super().__init__(f"{path} is held by {holder}")
        self.holder = holder


class Hold:
    """A hold; a lease can be lost, a kernel lock cannot."""

    def __init__(self, lasts_s: float = math.inf) -> None:
        self._lasts_s = lasts_s
        self._renewed = time.monotonic()

    def renew(self, moment: float) -> None:
        """Extend the hold from this moment, in s of the monotonic clock."""
        self._renewed = moment

    def end(self) -> None:
        """Mark the hold as lost to another process."""
        self._lasts_s = -math.inf

    @property
    def lost(self) -> bool:
        """Whether another process may hold it by now because the lease was not renewed."""
        return time.monotonic() - self._renewed > self._lasts_s
