"""What one mean may hold: scores of one definition, measured on one and the same data.

A trial notes the version of each score that it records (``score_versions`` in its status); what
older programs recorded is of unknown version. The newest version has the score's name, others are
shown as scores of their own. Where the files of a data set have changed, those planned last count.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tracking.report.numbers import count, listed
from tracking.report.trials import UNKNOWN, Trial, called

_MOST_NAMES = 3


def told_apart(trials: Sequence[Trial]) -> list[Trial]:
    """The trials, each with those of its scores that are of an older version than the newest."""
    newest: dict[str, int] = {}
    for trial in trials:
        if trial.status == "finished":
            for score, version in trial.score_versions.items():
                newest[score] = max(version, newest.get(score, UNKNOWN))
    return [replace(trial, older=_older(trial, newest)) for trial in trials]


def counted(trials: Sequence[Trial], headline: str) -> list[Trial]:
    """Those that means and pairs are made of: finished, with the newest version of the headline
    score at the last epoch, on the newest data. A score is asked of none where none has any.
    """
    ranked = is_ranked(trials)
    scored = [
        trial
        for trial in trials
        if trial.status == "finished" and (not ranked or trial.final(headline) is not None)
    ]
    newest = dict(map(_data, scored))
    return [trial for trial in scored if _data(trial) in newest.items()]


def is_ranked(trials: Sequence[Trial]) -> bool:
    """Whether trials have an AUROC, of whatever score: their test images are of both kinds. Nobody
    knows before one has finished.
    """
    finished = [trial for trial in trials if trial.status == "finished"]
    return not finished or any(trial.last for trial in finished)


def why_not(trial: Trial, headline: str, *, ranked: bool) -> str:
    """Why a finished trial is not counted, in words; ``ranked`` as ``is_ranked`` says of all."""
    if headline in trial.older:
        return f"older {called(headline, trial.older[headline])}"
    if ranked and not trial.last:
        return "no test outliers"
    return "older data" if headline in trial.auroc or not ranked else f"no {headline}"


def left_out(trials: Sequence[Trial], headline: str) -> str:
    """What of the finished trials is not compared with the others, in words; empty for nothing."""
    inside, ranked = set(counted(trials, headline)), is_ranked(trials)
    reasons: Counter[str] = Counter()
    for trial in trials:
        if trial in inside:
            reasons.update(_older_scores(trial))
        elif trial.status == "finished":
            reasons[why_not(trial, headline, ranked=ranked)] += 1
    return " ".join(
        f"{count(n, 'trial')} with {reason} {'is' if n == 1 else 'are'} not compared."
        for reason, n in reasons.items()
    )


def _older(trial: Trial, newest: dict[str, int]) -> dict[str, int]:
    own = {score: trial.score_versions.get(score, UNKNOWN) for score in newest}
    return {score: version for score, version in own.items() if version != newest[score]}


def _older_scores(trial: Trial) -> list[str]:
    """For instance "older k-cos (version 1)"; several of one version in one text."""
    by_version: dict[int, list[str]] = {}
    for score, version in trial.older.items():
        if "/" not in score:  # an ensemble's is that of its parts
            by_version.setdefault(version, []).append(score)
    texts = []
    for version, names in by_version.items():
        few = names if len(names) <= _MOST_NAMES else [*names[:2], f"{len(names) - 2} more scores"]
        texts.append(f"older {called(listed(few), version)}")
    return texts


def _data(trial: Trial) -> tuple[str, str]:
    return str(trial.value("dataset")), str(trial.definition.get("data_fingerprint"))
