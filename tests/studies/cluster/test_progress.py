"""The line that a user watches."""

import pytest

from studies.cluster import progress as module
from studies.cluster.progress import Progress


@pytest.fixture
def now(monkeypatch):
    """A clock that the test turns."""
    moment = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: moment[0])
    return moment


def test_it_weighs_trials_by_their_work(now):
    work = {"small": 1.0, "large": 3.0}
    progress = Progress(2, 4.0, work.__getitem__)
    progress.end("small")
    now[0] += 30
    assert progress.line() == "1 of 2 trials, 25 %, 0:30 so far, about 1:30 left"
    progress.advance("large", 0.5)
    assert progress.line().startswith("1 of 2 trials, 62 %, 0:30 so far, about 0:18 left")


def test_a_share_that_comes_again_or_falls_counts_once(now):
    progress = Progress(1, 1.0, lambda key: 1.0)
    for share in (0.5, 0.5, 0.25):
        progress.advance("a", share)
    assert progress.line().startswith("0 of 1 trials, 50 %")


def test_epochs_and_speed_of_trials_under_way(now):
    progress = Progress(3, 3.0, lambda key: 1.0)
    progress.advance("a", 0.1, epoch=7, images_per_second=400.4)
    progress.advance("b", 0.2, epoch=12, images_per_second=600.0)
    assert progress.line().endswith("; epoch 7, 12; 1,000 images/s")
    progress.end("a")
    assert progress.line().endswith("; epoch 12; 600 images/s")
    now[0] += 601  # nothing heard of it for ten minutes
    assert "epoch" not in progress.line()


def test_it_says_that_trials_compile(now):
    progress = Progress(3, 3.0, lambda key: 1.0)
    progress.advance("a", 0.0, compiling=True)
    progress.advance("b", 0.1, epoch=3, compiling=True)  # begun again, from a checkpoint
    assert progress.line().endswith("; 2 compiling")
    progress.advance("b", 0.2, epoch=4, images_per_second=50.0)
    assert progress.line().endswith("; 1 compiling; epoch 4; 50 images/s")
    progress.end("a")
    assert "compiling" not in progress.line()


def test_without_a_terminal_a_line_comes_at_once_then_every_ten_seconds(now, capsys):
    progress = Progress(1, 1.0, lambda key: 1.0)
    progress.show()
    for _ in range(12):
        now[0] += 1
        progress.show()
    progress.end("a")
    lines = capsys.readouterr().err.splitlines()
    assert [line[:20] for line in lines] == ["0 of 1 trials, 0 %, "] * 2 + ["1 of 1 trials, 100 %"]
