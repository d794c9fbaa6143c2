"""Two drivers want one store."""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.lab import (
    HANG_S,
    Driver,
    Outcome,
    pause,
    said_by,
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
            time.sleep(pause(moments, 2))
            at, late = time.time_ns(), start(path)
            if late.wait(timeout=HANG_S) == 0:
                break  # the first one had ended
            assert late.returncode == 2
            outcome.injections += 1
            outcome.seconds.append((time.time_ns() - at) / 1e9)
        assert running.wait(timeout=HANG_S) == 0, said_by(path)
        said = path.with_suffix(".err").read_text()
        named = re.findall(r"is being written by batchsize_ablation, process (\d+) on", said)
        assert {*named} == {str(running.pid)}
        assert "Traceback" not in said
        outcome.compare(path, reference)
    return outcome


def refusal(path: Path, first: Driver, second: Driver) -> Driver:
    """The one of two that gives up."""
    loser = wait_for(
        lambda: next((each for each in (first, second) if each.poll() is not None), None),
        "one of two drivers to give up",
    )
    assert loser.returncode == 2, path.with_suffix(".err").read_text()
    return loser


def test_of_two_drivers_one_is_refused_and_told_by_whom(reference, tmp_path):
    two_drivers(tmp_path, reference, seeded(), 1).assert_nothing_lost(1)


RACER = """
import sys, time
from tracking import create_store, StoreError
print("ready", flush=True)
for line in sys.stdin:
    instant, store = line.split()
    time.sleep(max(0, float(instant) - time.time()))
    try:
        with create_store(store).writing("race"):
            print("won", flush=True)
            sys.stdin.readline()  # until the others have given up
    except StoreError as error:
        print(error, flush=True)
"""


def test_drivers_that_start_at_one_instant_are_told_who_won(tmp_path):
    """The lock alone, without the seconds that a driver takes to start: many at one instant."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
    for number in range(3):
        instant = time.time() + 0.5
        for racer in racers:
            tell(racer, f"{instant} {tmp_path}/store-{number}\n")
        said = {racer.pid: racer.stdout.readline() for racer in racers}
        (winner,) = (pid for pid, words in said.items() if words == "won\n")
        others = [words for pid, words in said.items() if pid != winner]
        told = f"is being written by race, process {winner} on"
        assert all(told in words for words in others), said
        tell(next(racer for racer in racers if racer.pid == winner), "\n")
    for racer in racers:
        racer.stdin.close()
        assert racer.wait(timeout=HANG_S) == 0


def tell(racer: subprocess.Popen[str], words: str) -> None:
    racer.stdin.write(words)
    racer.stdin.flush()
