"""Write the reports of a store: ``python -m tracking.report STORE``."""

import argparse
import sys
from pathlib import Path

from tracking.errors import StoreError
from tracking.plain_text import plain
from tracking.report.document import write_report
from tracking.storage import StorePath
from tracking.store import open_store


def main(arguments: list[str] | None = None) -> int:
    """Report on every study of the store, or on the one named; 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m tracking.report", description=__doc__)
    parser.add_argument("store", help="folder of the store, or s3://BUCKET/PREFIX")
    parser.add_argument("--study", help="only this study")
    parser.add_argument("--out", metavar="DIR", help="default: the folder report of the store")
    options = parser.parse_args(arguments)
    try:
        store = open_store(options.store)
        if not store.studies():
            raise StoreError(f"store {store.root} has no study yet; run one with --store")
        folder: StorePath = Path(options.out) if options.out else store.root / "report"
        for study in store.chosen(options.study):
            for path in write_report(store, study, folder):
                print(path)
    except (StoreError, OSError) as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
