"""Queries: the documented schema and questions, the command line, and what SQL cannot reach."""

import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from benchmarks.generated_store import generate
from tracking import StoreError, open_store
from tracking.errors import QueryError
from tracking.query import aligned, main
from tracking.schema import SCHEMA_VERSION, TABLES
from tracking.tables import sql

DOC = (Path(__file__).parents[2] / "docs" / "results_schema.md").read_text()
QUESTIONS = dict(re.findall(r"\*\*(\d+)\. [^`]*?```sql\n(.*?)```", DOC, re.DOTALL))
EPOCHS = 6


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "store"
    generate(folder, trials=96, epochs=EPOCHS, layers=2, scorers=3)
    return folder


@pytest.fixture(scope="module")
def store(path):
    return open_store(path)


def documented(table: str) -> dict[str, list[str]]:
    section = DOC.split(f"\n## {table}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows if row and row[0].startswith("`")}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_with_its_type_and_no_other(table):
    rows = documented(table)
    assert list(rows) == TABLES[table].names
    for name, (kind, _, meaning, null, since) in rows.items():
        assert kind == str(TABLES[table].field(name).type), name
        assert meaning, name
        assert null, name
        assert 1 <= int(since) <= SCHEMA_VERSION, name
        assert ("older" in null) == (int(since) > 1), name


def test_the_doc_says_the_version_and_what_each_added():
    assert f'{{"schema_version": {SCHEMA_VERSION}}}' in DOC
    versions = DOC.split("\n## Versions\n")[1].split("\n## ")[0]
    for table in TABLES:
        for name, row in documented(table).items():
            if int(row[-1]) > 1 and not name.startswith("projection_"):
                line = next(x for x in versions.splitlines() if x.startswith(f"| {row[-1]} |"))
                assert f"`{name}`" in line or "geometry" in line


@pytest.mark.parametrize("number", sorted(QUESTIONS, key=int))
def test_questions_have_answers_before_and_after_compaction(number, path, store):
    query = QUESTIONS[number]
    answer = rounded(store.sql(query))
    assert answer
    for row in answer:
        for name, value in row.items():
            if name in ("auroc", "lowest", "chosen", "last", "peak"):
                assert 0.3 < value <= 1, row
    try:
        store.compact()
        assert len(store.snapshot().unchanged) == 96
        assert sorted(map(repr, rounded(store.sql(query)))) == sorted(map(repr, answer))
    finally:
        (path / "parquet").unlink()


def test_there_are_ten_questions():
    assert sorted(QUESTIONS, key=int) == [str(n) for n in range(1, 11)]


def rounded(table: pa.Table) -> list[dict]:
    return [
        {key: round(v, 9) if isinstance(v, float) else v for key, v in row.items()}
        for row in table.to_pylist()
    ]


# the same questions, by loops over what each trial's record says ----------------------------------


@pytest.fixture(scope="module")
def finished(store):
    """Configuration, facts, AUROC of c-cos by epoch and dynamics by epoch of finished trials."""
    found = []
    for trial_id in store.members("generated"):
        record = store.trial(trial_id)
        if record.state()["status"] == "finished":
            curve = {
                row["epoch"]: row["auroc"]
                for row in pq.read_table(record.folder / "scores.parquet").to_pylist()
                if (row["scorer"], row["layer"]) == ("c-cos", "embedding")
            }
            dynamics = pq.read_table(record.folder / "dynamics.parquet").to_pylist()
            by_epoch = {row["epoch"]: row for row in dynamics}
            definition = record.definition()
            found.append((definition["config"], definition["class_name"], curve, by_epoch))
    assert len(found) == 91
    return found


def grouped(pairs):
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def paired(finished, axis, low, high):
    """Differences of the last AUROC, high - low, by method and norm."""
    fixed = ("method", "norm", "normal_class", "batch_size", "pollution", "seed")
    fixed = tuple(name for name in fixed if name != axis)
    at = {
        (tuple(config[name] for name in fixed), config[axis]): curve[EPOCHS]
        for config, _, curve, _ in finished
    }
    return [
        (key[:2], at[key, high] - at[key, low])
        for key, level in at
        if level == low and (key, high) in at
    ]


def test_best_norm_at_batch_32(store, finished):
    expected = grouped(
        (config["norm"], curve[EPOCHS])
        for config, _, curve, _ in finished
        if config["batch_size"] == 32 and config["pollution"] == 0
    )
    answer = store.sql(QUESTIONS["1"]).to_pylist()
    assert {row["norm"]: row["auroc"] for row in answer} == pytest.approx(
        {norm: statistics.fmean(values) for norm, values in expected.items()}
    )
    assert {row["norm"]: row["n"] for row in answer} == {k: len(v) for k, v in expected.items()}
    assert [row["auroc"] for row in answer] == sorted((r["auroc"] for r in answer), reverse=True)
    assert answer[0]["norm"] == "both"  # as generated


def test_cost_of_pollution(store, finished):
    expected = grouped(paired(finished, "pollution", 0.1, 0.0))
    answer = {(row["method"], row["norm"]): row for row in store.sql(QUESTIONS["2"]).to_pylist()}
    assert answer.keys() == expected.keys()
    for key, values in expected.items():
        assert answer[key]["cost"] == pytest.approx(statistics.fmean(values))
        assert answer[key]["pairs"] == len(values) > 1
        error = statistics.stdev(values) / len(values) ** 0.5
        assert answer[key]["standard_error"] == pytest.approx(error)


def test_worst_class(store, finished):
    expected = grouped((name, curve[EPOCHS]) for _, name, curve, _ in finished)
    answer = store.sql(QUESTIONS["3"]).to_pylist()
    assert answer[0]["class_name"] == min(expected, key=lambda k: statistics.fmean(expected[k]))
    assert {row["class_name"]: row["lowest"] for row in answer} == {
        name: min(values) for name, values in expected.items()
    }


def test_trials_that_did_not_finish(store):
    answer = store.sql(QUESTIONS["4"]).to_pylist()
    expected = ["collapsed", "diverged", "failed", "pending", "stopped"]
    assert [row["status"] for row in answer] == expected
    for row in answer:
        assert row["message"] == store.trial(row["trial_id"]).state().get("message")


def test_concentration_and_auroc(store, finished):
    expected = grouped(
        (config["norm"], (dynamics[EPOCHS]["kappa_train"], curve[EPOCHS]))
        for config, _, curve, dynamics in finished
    )
    answer = {row["norm"]: row["correlation"] for row in store.sql(QUESTIONS["5"]).to_pylist()}
    assert answer == pytest.approx(
        {k: statistics.correlation(*zip(*values, strict=True)) for k, values in expected.items()}
    )


def test_peak_and_last_epoch(store, finished):
    lost, peak = (
        grouped(
            ((config["norm"], config["batch_size"]), ask(curve)) for config, _, curve, _ in finished
        )
        for ask in (
            lambda curve: max(curve.values()) - curve[EPOCHS],
            lambda curve: max(curve, key=curve.get),
        )
    )
    answer = {(r["norm"], r["batch_size"]): r for r in store.sql(QUESTIONS["7"]).to_pylist()}
    assert answer.keys() == lost.keys()
    for key, row in answer.items():
        assert row["lost"] == pytest.approx(statistics.fmean(lost[key]))
        assert row["peak_epoch"] == statistics.median(peak[key])


def test_gain_of_large_batches(store, finished):
    differences = paired(finished, "batch_size", 32, 512)
    expected = grouped((norm, value) for (_, norm), value in differences)
    answer = {row["norm"]: row for row in store.sql(QUESTIONS["8"]).to_pylist()}
    assert answer.keys() == expected.keys()
    for norm, values in expected.items():
        assert answer[norm]["gain"] == pytest.approx(statistics.fmean(values))
        assert answer[norm]["pairs"] == len(values) > 1


def test_held_out_choice(store, finished):
    expected = grouped(
        (config["norm"], curve[max(dynamics, key=lambda e: dynamics[e]["held_out_auroc"])])
        for config, _, curve, dynamics in finished
    )
    answer = {row["norm"]: row["chosen"] for row in store.sql(QUESTIONS["10"]).to_pylist()}
    assert answer == pytest.approx({k: statistics.fmean(v) for k, v in expected.items()})


# what SQL cannot do -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "select * from read_text('{file}')",
        "select * from read_parquet('{store}/trials/*/scores.parquet')",
        "select * from glob('{folder}/*')",
        "select * from sniff_csv('{file}')",
        "select * from trials where norm = (select content from read_text('{file}'))",
        "copy trials to '{folder}/out.csv'",
        "copy (select 1) to '{folder}/out.parquet' (format parquet)",
        "attach '{folder}/out.db'",
        "export database '{folder}/out'",
        "import database '{folder}'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "pragma temp_directory='{folder}/out'",
        "create table mine as select 1",
        "drop view trials",
        "select 1; select 2",
        "",
        "select * from table_of_this_test",
        "explain analyze copy (select 1) to '{folder}/out.csv'",
        "explain analyze copy (select 1) to ':memory:'",
        "explain analyze copy (select 1) to ':memory:.wal' (format parquet)",
        "explain (analyze, format json) copy (select 1) to '.tmp/out.csv'",
        "explain analyze set memory_limit = '1GB'",
        "from read_text('secret.csv')",
        "from read_text(':memory:*')",
        "from read_blob('.tmp/*')",
        "from read_duckdb(':memory:')",
        "from parquet_metadata('{file}')",
        "from read_csv('/dev/stdin')",
        "from enable_logging(storage='file', storage_path='{folder}/out')",
        "from enable_profiling(save_location='{folder}/out')",
        "from duckdb_extensions()",
        "from query('copy (select 1) to $$out.csv$$')",
        "select getenv('HOME')",
    ],
)
def test_sql_reaches_the_three_tables_and_nothing_else(store, tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    table_of_this_test = pa.table({"a": [1]})  # DuckDB would find it by its name
    assert table_of_this_test.num_rows == 1
    secret = tmp_path / "secret.csv"
    secret.write_text("secret\n1\n")
    text = query.format(file=secret, folder=tmp_path, store=store.root)
    with pytest.raises(QueryError) as error:
        store.sql(text)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_query_of_more_than_its_memory_writes_nothing(store, tmp_path, monkeypatch):
    """DuckDB would spill into the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sql._CLOSED, "memory_limit", "64MB")
    with pytest.raises(QueryError, match="Out of Memory"):
        store.sql("from (select r, hash(r) from range(20_000_000) t(r) order by 2)")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ('select count(*) from "TRIALS"', [(96,)]),
        ("with scores as (select 7 as n) select n from scores", [(7,)]),
        ("select (select max(epoch) from dynamics)", [(EPOCHS,)]),
        ("select count(*) from query_table('trials')", [(96,)]),
        ("from (pivot trials on status using count(*) group by study) select pending", [(1,)]),
        ("select count(*) from (unpivot scores on auroc, fpr95) where epoch = 1", [(95 * 12,)]),
        ("select count(*) from (describe scores)", [(7,)]),
        ("select date_trunc('day', started_at) is null from trials limit 1", [(False,)]),
        ("select distinct layers->>0 from trials", [("embedding",)]),
        ("select count(*) from information_schema.tables", [(3,)]),
    ],
)
def test_only_the_tables_that_a_query_needs_are_read_and_none_is_missed(store, query, rows):
    assert [tuple(row.values()) for row in store.sql(query).to_pylist()] == rows


# the command line ---------------------------------------------------------------------------------


def test_it_prints_an_aligned_table(path):
    query = "select norm, count(*) as n, avg(seconds) as s from trials group by all order by norm"
    command = [sys.executable, "-m", "tracking.query", str(path), query]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    header, rule, *rows = done.stdout.splitlines()
    assert header.split() == ["norm", "n", "s"]
    assert set(rule) == {"-", " "}
    assert [row.split()[0] for row in rows] == ["both", "f", "g", "none"]
    assert {row.split()[1] for row in rows} == {"24"}
    assert {len(line) for line in (rule, *rows)} == {len(rule)}


def test_aligned_keeps_a_row_in_a_line_and_counts_wide_characters():
    names = ["猫", "two\nlines", "\x1b[31mred", None]
    text = aligned(pa.table({"name": names, "n": [1, None, 22, 3]}))
    assert text.splitlines() == [
        "name          n",
        "-----------  --",
        "猫            1",
        "two\\nlines",
        "\\x1b[31mred  22",
        "              3",
    ]


def test_every_type_and_its_ends_are_printed(path, capsys):
    """Infinite times and the year 290,000 are no values of Python's."""
    assert main([str(path), "from test_all_types()"]) == 0
    times = "'infinity'::timestamptz a, '-infinity'::date b, ['290000-01-01'::timestamp] c"
    assert main([str(path), f"select {times}, null d"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split("  ") == [
        "infinity", "-infinity", "['290000-01-01 00:00:00']"
    ]  # fmt: skip


def test_csv_holds_infinite_times(path, tmp_path):
    out = tmp_path / "answer.csv"
    query = "select 'infinity'::timestamptz a, '290000-01-01'::timestamp b, date '2026-11-27' c"
    assert main([str(path), query, "--out", str(out)]) == 0
    assert out.read_text().splitlines()[1] == '"infinity","290000-01-01 00:00:00",2026-11-27'


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_it_writes_a_file_whole(path, store, tmp_path, capsys, ending):
    out = tmp_path / f"answer{ending}"
    query = "select trial_id, norm, pollution from trials order by trial_id"
    assert main([str(path), query, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"96 rows in {out}\n"
    read = pq.read_table if ending == ".parquet" else pyarrow.csv.read_csv
    assert read(out).to_pylist() == store.sql(query).to_pylist()
    assert [each.name for each in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["selekt 1"], "syntax error"),
        (["select nope from trials"], '"nope" not found'),
        (["select * from nowhere"], "nowhere does not exist"),
        (["select norm + 1 from trials"], "No function matches"),
        (["delete from trials"], "a DELETE statement; need a select"),
    ],
)
def test_errors_of_sql_are_one_line_and_a_hint(path, capsys, arguments, complaint):
    assert main([str(path), *arguments]) == 2
    first, hint, *tables = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ")
    assert complaint in first
    assert hint.startswith("hint: ")
    for line, (name, schema) in zip(tables, TABLES.items(), strict=True):
        assert line.split() == [f"{name}:", *", ".join(schema.names).split()]


@pytest.mark.parametrize("name", ["answer.txt", "answer", "answer.csv.gz"])
def test_other_endings_are_refused(path, tmp_path, capsys, name):
    assert main([str(path), "from trials", "--out", str(tmp_path / name)]) == 2
    assert "ends in .csv or .parquet" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_csv_cannot_hold_is_said(path, tmp_path, capsys):
    assert main([str(path), "select [1, 2] as pair", "--out", str(tmp_path / "answer.csv")]) == 2
    assert "answer.csv cannot be written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_store(tmp_path, capsys):
    assert main([str(tmp_path), "from trials"]) == 2
    assert capsys.readouterr().err == (
        f"error: no store at {tmp_path}; a study makes one with --store {tmp_path}\n"
    )


def test_damaged_files_are_skipped_on_request_and_named(tmp_path, capsys):
    store = generate(tmp_path / "store", trials=12, epochs=2, layers=1, scorers=1)
    finished = store.sql("select trial_id from trials where status = 'finished'")
    damaged = store.trial(finished["trial_id"][0].as_py()).folder / "scores.parquet"
    damaged.write_bytes(damaged.read_bytes()[:50])
    query = "select count(distinct trial_id) as n from scores"
    with pytest.raises(StoreError, match=re.escape(str(damaged))):
        store.sql(query)
    assert main([str(store.root), query]) == 2
    assert f"error: {damaged} cannot be read" in capsys.readouterr().err
    assert main([str(store.root), query, "--skip-damaged"]) == 0
    out, err = capsys.readouterr()
    assert out.split()[-1] == "10"  # of 11 that began
    assert err.startswith(f"skipped: {damaged} cannot be read")


def test_a_query_that_is_no_utf8_is_one_error(path, capsys):
    assert main([str(path), "select '\udcff'"]) == 2
    assert capsys.readouterr().err.startswith("error: the query is not UTF-8")


def test_a_query_is_utf8_where_the_terminal_speaks_ascii(path):
    command = [sys.executable, "-m", "tracking.query", path, "select 'ü→日' as b"]
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, env=plain, capture_output=True, timeout=120, check=True)
    assert done.stdout.split()[-1].decode() == "\\xfc\\u2192\\u65e5"
