"""Write the reports of a store: ``nsa report STORE``, or ``python -m tracking.report STORE``."""

import argparse
import sys
from pathlib import Path

from tracking.errors import StoreError
from tracking.opening import open_store
from tracking.text import print_anything, printable


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="nsa report", description=__doc__)
    made.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    made.add_argument("--study", help="only this study")
    made.add_argument("--out", metavar="DIR", help="default: the folder report of the store")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Report on every study of the store, or on the one named; 2 for bad input."""
    print_anything()
    options = parser().parse_args(arguments)
    from tracking.report.document import write_report  # slow to import, and --help is not

    try:
        store = open_store(options.store)
        if not store.studies():
            raise StoreError(f"store {store.root} has no study yet; run one with --store")
        folder = Path(options.out) if options.out else None
        for study in store.chosen(options.study):
            written = write_report(store, study, folder)
            print(written.page, written.markdown, sep="\n")
    except (StoreError, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
