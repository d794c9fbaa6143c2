"""``nsa score``: a row an image, as the estimator scores it; whole or not there."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nsa_core import AnomalyDetector
from nsa_core.detector.conformal import benjamini_hochberg
from studies.detect import score


def test_the_file_holds_what_the_estimator_says(model, digits, tmp_path, capsys):
    out = tmp_path / "scores.parquet"
    assert score.main([str(model), str(digits), "--split", "test", "--out", str(out)]) == 0
    table = pq.read_table(out)
    detector = AnomalyDetector.load(model)
    wanted = detector.anomaly_scores(str(digits / "test"))
    assert table["score"].to_numpy().tolist() == wanted.tolist()
    assert table["p_value"].to_pylist() == detector.p_values(str(digits / "test")).tolist()
    flagged = detector.predict(str(digits / "test")) == -1
    assert table["flagged"].to_pylist() == flagged.tolist()
    assert 0 < flagged.sum() < 30
    names = [f"test/{path.parent.name}/{path.name}" for path in (digits / "test").rglob("*.png")]
    assert table["name"].to_pylist() == sorted(names)
    about = {
        key.decode(): json.loads(value)
        for key, value in table.schema.metadata.items()
        if key.startswith(b"nsa.")
    }
    assert about["nsa.model"] == str(model)
    assert about["nsa.threshold"] == -detector.offset_
    assert about["nsa.false_alarm_rate"] == 0.1
    said = capsys.readouterr().out
    assert f"30 images, {flagged.sum()} flagged" in said
    assert names[0].split("/")[0] in said.split("the oddest:")[1]


def test_another_rate_and_a_false_discovery_rate(model, digits, tmp_path, capsys):
    out = tmp_path / "scores.parquet"
    detector, test = AnomalyDetector.load(model), str(digits / "test")
    command = [str(model), test, "--out", str(out), "--json"]
    assert score.main([*command, "--false-alarm-rate", "0.3"]) == 0
    found = json.loads(capsys.readouterr().out)
    p = detector.p_values(test)
    assert found["flagged"] == (p <= 0.3).sum()
    assert found["highest"][0]["score"] == detector.anomaly_scores(test).max()
    assert score.main([*command, "--false-discovery-rate", "0.2"]) == 0
    assert json.loads(capsys.readouterr().out)["flagged"] == benjamini_hochberg(p, 0.2).sum()


def test_a_broken_image_leaves_the_older_file_as_it_was(model, digits, tmp_path, capsys):
    folder, out = tmp_path / "images", tmp_path / "scores.parquet"
    folder.mkdir()
    for path in (digits / "test" / "other").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "zz.png").write_bytes(b"no image")
    out.write_bytes(b"older")
    assert score.main([str(model), str(folder), "--out", str(out)]) == 2
    assert "zz.png" in capsys.readouterr().err
    assert out.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "scores.parquet"]
    assert score.main([str(model), str(folder), "--out", str(out), "--skip-broken"]) == 0
    assert "left out: zz.png" in capsys.readouterr().out
    assert pq.read_table(out).num_rows == 15


def test_the_images_are_not_overwritten(model, tmp_path, capsys):
    images = pa.array([encoded(row) for row in range(4)])
    for name in ("images.parquet", "folder/part.parquet"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"image": images}), path)
        before = path.read_bytes()
        source = path if name == "images.parquet" else path.parent
        assert score.main([str(model), str(source), "--out", str(path)]) == 2
        assert "is a file of the images; give another name" in capsys.readouterr().err
        assert path.read_bytes() == before
        other = tmp_path / "scores.parquet"
        assert score.main([str(model), str(source), "--out", str(other)]) == 0


def encoded(row):
    content = io.BytesIO()
    Image.fromarray(np.full((16, 16), row, np.uint8)).save(content, "PNG")
    return content.getvalue()


def test_only_a_batch_of_images_is_held_at_a_time(model, tmp_path, monkeypatch):
    folder = tmp_path / "many"
    folder.mkdir()
    for row in range(600):
        Image.fromarray(np.full((16, 16), row % 256, np.uint8)).save(folder / f"{row:04}.png")
    detector, held = AnomalyDetector.load(model), []
    monkeypatch.setattr(
        detector, "anomaly_scores", lambda batch: held.append(len(batch)) or np.zeros(len(batch))
    )
    names, scores, _ = score.scored(detector, str(folder), None, skip_broken=False)
    assert len(names) == len(scores) == sum(held) == 600
    assert max(held) <= 512


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "FOLDER", "--out", "scores.csv"], "need a name that ends in .parquet"),
        (["MODEL", "FOLDER", "--out", "no/scores.parquet"], "folder 'no' does not exist"),
        (["nowhere", "FOLDER", "--out", "scores.parquet"], "'nowhere' does not exist"),
        (
            ["MODEL", "nothing", "--out", "scores.parquet"],
            "images 'nothing': there is nothing of this name",
        ),
        (
            ["MODEL", "FOLDER", "--out", "scores.parquet", "--false-alarm-rate", "2"],
            "false_alarm_rate is 2.0",
        ),
    ],
)
def test_bad_input_is_one_clear_error(
    arguments, message, model, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    places = {"MODEL": str(model), "FOLDER": str(digits)}
    assert score.main([places.get(each, each) for each in arguments]) == 2
    said, error = capsys.readouterr()
    assert error.startswith("error: ")
    assert message in error
    assert not said
    assert not list(tmp_path.iterdir())
