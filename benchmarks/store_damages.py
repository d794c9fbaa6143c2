"""Kinds of damage to a file of a store: each takes the file, a folder outside and a stream."""

import os
import random
import shutil
from pathlib import Path


def cut(path: Path, outside: Path, stream: random.Random) -> None:
    """Keep the first part of the file."""
    data = path.read_bytes()
    path.write_bytes(data[: stream.randrange(len(data))])


def flip(path: Path, outside: Path, stream: random.Random) -> None:
    """Flip one bit."""
    data = bytearray(path.read_bytes())
    bit = stream.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def blank(path: Path, outside: Path, stream: random.Random) -> None:
    """Lose a block of 64 bytes."""
    data = bytearray(path.read_bytes())
    start = stream.randrange(len(data))
    end = min(len(data), start + 64)
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


def scribble(path: Path, outside: Path, stream: random.Random) -> None:
    """Write something else."""
    path.write_bytes(
        stream.choice([b"", b"{}", b"[]", b"null", b'{"a":' * 50_000, stream.randbytes(200)])
    )


def swap(path: Path, outside: Path, stream: random.Random) -> None:
    """Swap the contents of two files."""
    other = stream.choice([each for each in files(root_of(path)) if each != path])
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def swap_folders(path: Path, outside: Path, stream: random.Random) -> None:
    """Swap the folders of two trials."""
    one, other = stream.sample(sorted((root_of(path) / "trials").iterdir()), 2)
    one.rename(one.parent / "x")
    other.rename(one)
    (one.parent / "x").rename(other)


def delete(path: Path, outside: Path, stream: random.Random) -> None:
    """Remove the file."""
    path.unlink()


def link_file(path: Path, outside: Path, stream: random.Random) -> None:
    """Move the file out of the store and leave a link."""
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


def link_folder(path: Path, outside: Path, stream: random.Random) -> None:
    """Move its folder out of the store and leave a link."""
    folder = path.parent if path.parent != root_of(path) else root_of(path) / "trials"
    shutil.move(folder, outside / folder.name)
    folder.symlink_to(outside / folder.name)


def link_to_nothing(path: Path, outside: Path, stream: random.Random) -> None:
    """Leave a link that a writer would create a file through."""
    path.unlink()
    path.symlink_to(outside / "to-be-made")


def loop(path: Path, outside: Path, stream: random.Random) -> None:
    """Leave a link to itself."""
    path.unlink()
    path.symlink_to(path)


def pipe(path: Path, outside: Path, stream: random.Random) -> None:
    """Leave a pipe, which blocks whoever opens it."""
    path.unlink()
    os.mkfifo(path)


def folder(path: Path, outside: Path, stream: random.Random) -> None:
    """Leave a folder of its name."""
    path.unlink()
    path.mkdir()


DAMAGES = (
    cut, flip, blank, scribble, swap, swap_folders, delete, link_file, link_folder,
    link_to_nothing, loop, pipe, folder,
)  # fmt: skip


def root_of(path: Path) -> Path:
    """The store of a file."""
    return next(each for each in path.parents if (each / "store.json").exists())


def files(root: Path) -> list[Path]:
    """All files of a store but locks, which hold nothing; the report's once it was written."""
    found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sorted(path for path in found if not path.name.endswith("lock"))
