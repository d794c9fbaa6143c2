"""``nsa inspect``: one page with everything in it, whatever names and images are called."""

import html
import json
import math
import re
import shutil

import numpy as np
import pytest

from nsa_core import AnomalyDetector, InputError
from nsa_core.detector.suspects import left_out_scores
from studies.detect import fit, inspection
from studies.detect.training import most_suspect, training_of
from tests.studies.detect.conftest import FIT

HOSTILE = "<script>alert(1)<b> & 'x'.png"


def inspected(capsys, *arguments):
    assert inspection.main([*map(str, arguments), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with open(found["page"], encoding="utf-8") as stream:  # noqa: PTH123
        return found, stream.read()


@pytest.fixture
def page(model, digits, tmp_path, capsys):
    out = tmp_path / "page.html"
    return inspected(capsys, model, digits, "--split", "test", "--out", out)


def test_worst_and_best_are_the_outermost_scores(page, model, digits):
    found, text = page
    detector = AnomalyDetector.load(model)
    scores = np.sort(detector.anomaly_scores(str(digits / "test")))[::-1]
    assert [each["score"] for each in found["worst"]] == scores[:12].tolist()
    sections = re.split(r'<section id="', text)[1:]
    names = [section.partition('"')[0] for section in sections]
    assert names == ["summary", "scores", "worst", "best", "suspects"]
    assert f"{scores[0]:.4g}, p " in sections[2]
    assert f"{scores[-1]:.4g}, p " in sections[3]
    assert [section.count("<img ") for section in sections] == [0, 0, 12, 12, 24]
    assert "its heat beside it" in sections[2]
    assert "threshold</text>" in sections[1]
    flagged = int((scores > -detector.offset_).sum())
    assert f"{flagged} of 30" in sections[0]


def test_suspects_are_ranked_by_what_the_fit_saved(page, model):
    found, text = page
    saved = AnomalyDetector.load(model)
    order = np.argsort(-np.array(saved.notes_["suspects"]), kind="stable")
    assert [each["name"] for each in found["suspects"]] == [saved.names_[i] for i in order[:24]]
    assert "each judged by a training that has not seen it" in text


def test_the_page_is_one_small_file_that_fetches_nothing(page):
    found, text = page
    assert found["missing"] == []
    assert found["bytes"] == len(text.encode()) < 6e6
    links = re.findall(r'(?:src|href)="([^"]{1,30})', text)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    assert "<script" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_without_a_folder_the_withheld_images_are_judged(model, digits, tmp_path, capsys):
    shutil.copytree(model, tmp_path / "threes")
    found, text = inspected(capsys, tmp_path / "threes")
    assert found["page"] == str(tmp_path / "threes.html")
    detector = AnomalyDetector.load(model)
    assert found["images"] == len(detector.calibration_rows_)
    withheld = {detector.names_[row] for row in detector.calibration_rows_}
    assert {each["name"] for each in found["worst"]} <= withheld
    assert found["worst"][0]["score"] == detector.calibration_scores_[-1]
    assert "withheld to calibrate" in text


def test_names_are_text_and_other_ranks_are_left_out(digits, tmp_path, capsys):
    images = tmp_path / "images"
    shutil.copytree(digits / "train" / "three", images)
    next(images.iterdir()).rename(images / HOSTILE)
    model = tmp_path / "model"
    assert fit.main([str(images), "--out", str(model), *FIT]) == 0
    capsys.readouterr()
    found, text = inspected(capsys, model, images)
    detector = AnomalyDetector.load(model)
    order = left_out_scores(detector, str(images)).ordered_names
    assert [each["name"] for each in found["suspects"]] == list(order[:24])
    assert "nsa fit --suspects judges them unseen" in html.unescape(text)
    assert "<script" not in text

    (images / HOSTILE).unlink()  # the training images have changed, and then are gone
    for remove, reason in (
        (False, "they have changed since the fit"),
        (True, "there is nothing of this name"),
    ):
        if remove:
            shutil.rmtree(images)
        found, text = inspected(capsys, model)
        (sentence,) = found["missing"]
        assert reason in sentence
        assert html.escape(sentence, quote=False).replace("'", "&#39;") in text
        assert found["suspects"] == found["worst"] == []


@pytest.mark.parametrize("suspects", ["abc", [None] * 63, [1.0, 2.0], [1.0] * 62 + [math.nan]])
def test_suspects_that_are_no_number_an_image_are_refused(suspects, model, tmp_path, capsys):
    detector = AnomalyDetector.load(model)
    training, _ = training_of(detector)
    detector.notes_["suspects"] = suspects
    with pytest.raises(InputError, match="suspects are not a number an image; fit it again"):
        most_suspect(detector, training, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "'nowhere' does not exist"),
        (["MODEL", "--out", "page.pdf"], "need a name that ends in .html"),
        (["MODEL", "nothing"], "images 'nothing': there is nothing of this name"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, message, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert inspection.main([{"MODEL": str(model)}.get(each, each) for each in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert not list(tmp_path.iterdir())
