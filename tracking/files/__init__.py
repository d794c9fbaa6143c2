"""One file: whole or absent, on a disk or an object store, held by one process at a time."""
