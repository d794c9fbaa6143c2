"""What came out: results in Parquet, queries over them, reports, and MLflow as a view."""

from tracking.errors import StoreError
from tracking.opening import create_store, open_store
from tracking.schema import SCHEMA_VERSION, SIGNAL_COLUMNS
from tracking.store import Store
from tracking.trial import ENDED, TrialRecord

__all__ = [
    "ENDED",
    "SCHEMA_VERSION",
    "SIGNAL_COLUMNS",
    "Store",
    "StoreError",
    "TrialRecord",
    "create_store",
    "open_store",
]
