"""Trials on one machine or many, by Ray Tune: the only room that imports Ray.

Ray schedules, nothing more; what is durable is in the store.
"""

import os
from pathlib import Path

try:
    Path.home()
except RuntimeError:  # in a container, of a user whom nobody knows; Ray asks as it is imported
    os.environ["HOME"] = "/"
os.environ.update(  # before Ray is imported
    {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_ENABLE_AUTO_CONNECT": "0",  # no Ray but the one that a run starts or joins
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a Ray of our own keeps to loopback
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_GLOBAL_CHECKPOINT_S": "600",  # Ray's notes are not what a second run reads
        "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # all workers start at once; slots are the limit
        "TUNE_DISABLE_AUTO_INIT": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: stop at once, and say how to go on
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "-1",
    }
)


class RayLostError(BaseException):
    """Ray has died beside the driver, which would wait for it for ever.

    No ``Exception``: Tune would tidy up after one, and wait too.
    """
