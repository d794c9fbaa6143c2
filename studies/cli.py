"""The command of a study, ``python studies/NAME.py``: from its options to an exit status."""

import atexit
import logging
import sys
from collections.abc import Sequence

from nsa_core.errors import InputError
from studies.cluster import RayLostError
from studies.cluster.signals import ignore_signals, stop_on_sigterm
from studies.plan.options import parser
from studies.plan.search import Search
from studies.plan.study import Study
from tracking.errors import StoreError
from tracking.text import print_anything, printable


def main(study: Study | Search, arguments: Sequence[str] | None = None) -> int:
    """Run a study from the command line; returns the exit status.

    0: all trials have ended well; 1: some failed or were not run; 2: bad input; 130: interrupted.
    """
    print_anything()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("nsa_core").setLevel(logging.INFO)
    options = parser(study).parse_args(arguments)
    stop_on_sigterm()
    print(f"{study.name}, preset {options.preset}: loading", file=sys.stderr, flush=True)
    try:
        from studies.conduct import conduct  # torch, Ray and MLflow take seconds to import

        status = conduct(study, options)
    except (InputError, StoreError, RayLostError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        status = 130
    atexit.register(ignore_signals)  # all is said; with Ray and torch Python takes a while to end
    return status
