"""What came out: the ledger in Parquet, its queries, and the mirror in MLflow."""

from tracking.errors import StoreError
from tracking.ledger import ENDED, TrialRecord
from tracking.schema import SCHEMA_VERSION, SIGNAL_COLUMNS
from tracking.store import Store, create_store, open_store

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
