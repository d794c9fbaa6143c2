"""How commands end and what they say on the way."""

import argparse
import json
import warnings

import pytest

from nsa_core import DivergedError, InputError
from studies.detect import command
from tracking import StoreError


def ended(monkeypatch, work, *, as_json=False):
    monkeypatch.setattr(command, "stop_on_sigterm", lambda: None)
    return command.run(work, argparse.Namespace(json=as_json))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("bad"), 2),
        (StoreError("bad"), 2),
        (OSError(28, "bad"), 2),
        (DivergedError(1, 2, float("nan")), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_kind_of_end_has_its_status(monkeypatch, capsys, error, status):
    def work(_):
        raise error

    assert ended(monkeypatch, work) == status
    said, told = capsys.readouterr()
    assert not said
    assert told


def test_warnings_of_the_core_are_notes_and_those_of_libraries_are_not(monkeypatch, capsys):
    def work(_):
        warnings.warn_explicit("few images", UserWarning, "f", 1, module="nsa_core.detector.x")
        warnings.warn_explicit("old API", UserWarning, "f", 1, module="torch.something")
        return {"a": 1}, ["words"]

    assert ended(monkeypatch, work, as_json=True) == 0
    said, told = capsys.readouterr()
    assert json.loads(said) == {"a": 1, "notes": ["few images"]}
    assert told == "note: few images\n"


def test_progress_estimates_from_what_is_done(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    progress = command.Progress("training")
    for seconds, share in ((20.0, 0.25), (1.0, 0.3), (59.0, 1.0)):
        now[0] += seconds
        progress(share)
    assert capsys.readouterr().err == "training:  25%, 1:00 left\ntraining: done in 1:20\n"


def test_many_broken_images_are_counted():
    lines = command.skipped_lines([(f"{row}.png", "cut\nshort") for row in range(7)])
    assert lines[0] == "  left out: 0.png: cut\\nshort"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == 6
