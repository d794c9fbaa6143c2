"""Compact a store: ``nsa compact STORE``, or ``python -m tracking.compaction STORE``.

Every trial's rows are copied into three tables that answer fast. Studies may run and queries may be
asked meanwhile; nothing of a trial's own files is touched.
"""

import argparse
import sys

from tracking.errors import StoreError
from tracking.opening import open_store
from tracking.text import print_anything, printable


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="nsa compact", description=__doc__)
    made.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    made.add_argument(
        "--skip-damaged", action="store_true", help="leave damaged files out, and name them"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Compact a store from the command line; returns the exit status."""
    print_anything()
    options = parser().parse_args(arguments)
    try:
        store = open_store(options.store, skip_damaged=options.skip_damaged)
        made = store.compact()
    except StoreError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    for reason in store.skipped.values():
        print(f"skipped: {printable(reason)}", file=sys.stderr)
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
