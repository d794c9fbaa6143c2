"""Ways to use a store that may be damaged; each raises if it finds what was never written."""

from collections.abc import Callable, Mapping

from tracking import Store
from tracking.report.document import write_report
from tracking.report.results import load_results
from tracking.schema import TABLES

LOST = ("pending", "running")
"""How a trial stands whose results are not all there: it counts in no mean."""

Rows = Mapping[str, set[str]]
"""By table: every row as text."""


def rows_of(store: Store) -> Rows:
    """All rows of a store."""
    return {name: set(map(repr, getattr(store, name)().to_pylist())) for name in TABLES}


def read_tables(store: Store, right: Rows) -> None:
    """Read the three tables."""
    compare(rows_of(store), right)


def query(store: Store, right: Rows) -> None:
    """Ask for all scores of trials in SQL."""
    found = store.sql("select scores.* from scores join trials using (trial_id)").to_pylist()
    assert set(map(repr, found)) <= right["scores"]


def report(store: Store, right: Rows) -> None:
    """Write the report; its numbers are those of the store."""
    for study in store.studies():
        means = {each.trial_id: each.last for each in load_results(store, study).finished}
        for key, last in means.items():
            for (layer, scorer), auroc in last.items():
                mine = f"'trial_id': '{key}'", f"'layer': '{layer}'", f"'scorer': '{scorer}'"
                same = [row for row in right["scores"] if all(each in row for each in mine)]
                assert any(f"'auroc': {auroc!r}," in row for row in same), (key, layer, scorer)
        write_report(store, study)


def compact(store: Store, right: Rows) -> None:
    """Compact, then read the tables."""
    store.compact()
    compare(rows_of(store), right)


def work(store: Store, right: Rows) -> None:
    """Write what a study writes, as it was."""
    with store.writing("a study"):
        for study in store.studies():
            members = store.members(study)
            store.plan(study, members)
            for key in members[:3]:
                record = store.trial(key)
                with record.claim():
                    state = record.state()
                    definition = record.definition()
                    if state["status"] not in LOST:
                        record.write_artifact("config", definition)
                        record.write_artifact("status", state)
                        record.write_artifact("scores", record.scores())


USES: dict[str, Callable[[Store, Rows], None]] = {
    "tables": read_tables,
    "SQL": query,
    "report": report,
    "compaction": compact,
    "work": work,
}


def compare(found: Rows, right: Rows) -> None:
    """Raise an AssertionError for a row that was never written."""
    for name in ("dynamics", "scores"):
        assert found[name] <= right[name], f"other rows of {name}"
    for row in found["trials"] - right["trials"]:
        assert any(f"'status': '{status}'" in row for status in LOST), f"another trial: {row}"
