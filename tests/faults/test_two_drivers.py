"""Two drivers want one store."""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.lab import (
    Outcome,
    seeded,
    start,
    stores,
    wait_for,
)
from tests.studies.conftest import ROOT


def two_drivers(folder: Path, reference: Path, moments: random.Random, repeats: int) -> Outcome:
    """Start the same study twice, at one instant or a while later; one of them has to go."""
    outcome = Outcome()
    for path in stores(folder, lambda: outcome.injections < repeats):
        first, at = start(path), time.time_ns()
        second = start(path)  # at the same instant
        refused = [refusal(path, first, second)]
        running = second if refused == [first] else first
        outcome.injections += 1
        outcome.seconds.append((time.time_ns() - at) / 1e9)
        while outcome.injections < repeats and running.poll() is None:
            time.sleep(moments.uniform(0, 2))
            at, late = time.time_ns(), start(path)
            if late.wait(timeout=120) == 0:
                break  # the first one had ended
            assert late.returncode == 2
            outcome.injections += 1
            outcome.seconds.append((time.time_ns() - at) / 1e9)
        assert running.wait(timeout=300) == 0, path.with_suffix(".err").read_text()
        said = path.with_suffix(".err").read_text()
        named = re.findall(r"is being written by batchsize_ablation, process (\d+) on", said)
        assert {*named} == {str(running.pid)}
        assert "Traceback" not in said
        outcome.compare(path, reference)
    return outcome


def refusal(path: Path, first: subprocess.Popen[str], second: subprocess.Popen[str]):
    """The one of two that gives up."""
    loser = wait_for(
        lambda: next((each for each in (first, second) if each.poll() is not None), None),
        "one of two drivers to give up",
    )
    assert loser.returncode == 2, path.with_suffix(".err").read_text()
    return loser


def test_of_two_drivers_one_is_refused_and_told_by_whom(reference, tmp_path):
    two_drivers(tmp_path, reference, seeded(), 3).assert_nothing_lost(3)


RACER = """
import sys, time
from tracking import create_store, StoreError
print("ready", flush=True)
time.sleep(max(0, float(sys.stdin.readline()) - time.time()))
try:
    with create_store(sys.argv[1]).writing("race"):
        sys.stdin.read()  # until the others have given up
except StoreError as error:
    print(error)
    sys.exit(2)
"""


def test_drivers_that_start_at_one_instant_are_told_who_won(tmp_path):
    """The lock alone, without the seconds that a driver takes to start: many at one instant."""
    for number in range(3):
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, str(tmp_path / f"store-{number}")],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for _ in range(4)
        ]  # fmt: skip
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
        instant = time.time() + 0.5
        for racer in racers:
            racer.stdin.write(f"{instant}\n")
            racer.stdin.flush()
        wait_for(lambda all=racers: sum(r.poll() is not None for r in all) >= 3, "three to give up")
        said = [racer.communicate(timeout=60)[0] for racer in racers]
        winners = [racer.pid for racer in racers if racer.returncode == 0]
        assert len(winners) == 1, said
        others = [words for words in said if words]
        assert len(others) == 3
        winner = f"is being written by race, process {winners[0]} on"
        assert all(winner in words for words in others), said
