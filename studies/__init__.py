"""What to run: one short script a study, the grid, and the Ray Tune runner."""

import os

os.environ.update(  # before Ray is imported
    {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a Ray of our own keeps to loopback
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_GLOBAL_CHECKPOINT_S": "600",  # Ray's notes are not what a second run reads
        "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # all workers start at once; slots are the limit
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: stop at once, and say how to go on
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
        "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "-1",
    }
)
