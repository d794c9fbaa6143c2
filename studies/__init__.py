"""What to run: a page a study, and the rooms that plan, schedule and train its trials."""

import importlib.util
from collections.abc import Sequence

if importlib.util.find_spec("ray") is None:  # before anything below fails on one of its parts
    raise ImportError("studies need more than the core does: pip install 'nsa-studies[studies]'")

from studies.plan.search import Search, SearchPreset
from studies.plan.study import Preset, Study
from tracking.layout import Layout, Published

__all__ = ["Layout", "Preset", "Published", "Search", "SearchPreset", "Study", "main"]


def main(study: Study | Search, arguments: Sequence[str] | None = None) -> int:
    """Run a study from the command line; returns the exit status, see ``studies.cli``."""
    from studies.cli import main as run  # which imports these very names

    return run(study, arguments)
