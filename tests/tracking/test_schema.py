import pyarrow as pa
import pytest

from tracking.schema import table_of

SCHEMA = pa.schema({"epoch": pa.int64(), "loss": pa.float64()})


def test_rows_become_a_table_and_what_a_row_lacks_is_null():
    table = table_of(iter([{"epoch": 1, "loss": 0.5}, {"epoch": 2}]), SCHEMA)
    assert table.schema == SCHEMA
    assert table.to_pylist() == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": None}]
    assert table_of([], SCHEMA).schema == SCHEMA


def test_a_column_that_the_schema_lacks_is_named():
    with pytest.raises(ValueError, match="no such column: kappa, mmd"):
        table_of([{"epoch": 1}, {"epoch": 2, "mmd": 0.0, "kappa": 1.0}], SCHEMA)
