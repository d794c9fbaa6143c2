"""``nsa export``: the ONNX file scores real images as the detector does."""

import json

import numpy as np
import onnxruntime
import pytest

from nsa_core import AnomalyDetector
from nsa_core.data.pictures import read_pictures
from nsa_core.detector import onnx_file
from studies.detect import export


@pytest.fixture
def on_backbone(digits, tmp_path):
    """A detector on a backbone that resizes images; one from scratch is tested in MLflow."""
    detector = AnomalyDetector(
        backbone="efficientnet_lite0", image_size=32, layer="stage3", false_alarm_rate=0.1
    )
    return detector.fit(str(digits / "train")).save(tmp_path / "threes")


def test_images_score_within_a_ten_thousandth(on_backbone, digits, tmp_path, capsys):
    out = tmp_path / "threes.onnx"
    assert export.main([str(on_backbone), "--onnx", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["shape"] == [1, 16, 16]
    assert said["bytes"] == out.stat().st_size
    images = read_pictures(digits / "test").images
    session = onnxruntime.InferenceSession(out.read_bytes())
    detector = AnomalyDetector.load(on_backbone)
    wanted = detector.anomaly_scores(str(digits / "test"))
    for count in (1, 30):
        scores, flagged = session.run(["score", "flagged"], {"images": np.array(images[:count])})
        np.testing.assert_allclose(scores, wanted[:count], rtol=1e-4)
        assert (flagged == (wanted[:count] > -detector.offset_)).all()
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["threshold"]) == -detector.offset_
    assert json.loads(about["fingerprint"]) == detector.fingerprint_


def test_bad_input_is_one_clear_error(model, tmp_path, capsys, monkeypatch):
    out = str(tmp_path / "threes.onnx")
    assert export.main([str(model), "--onnx", out, "--images", "uint9"]) == 2
    assert "unknown images 'uint9'; did you mean 'uint8'?" in capsys.readouterr().err
    monkeypatch.setattr(onnx_file, "_NEEDED", ("onnx", "no_such_package"))
    assert export.main([str(model), "--onnx", out]) == 2
    assert "needs no_such_package: pip install 'nsa-studies[onnx]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_too_large_for_one_file_is_refused(model, tmp_path, monkeypatch):
    class Large:
        def ByteSize(self):  # noqa: N802  # protobuf's name
            return 3_000_000_000

    with pytest.raises(onnx_file.InputError, match=r"would have 3\.0 GB"):
        onnx_file.write_onnx(Large(), tmp_path / "large.onnx")
