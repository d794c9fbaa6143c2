"""From what a person names to the pictures that it holds."""

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from nsa_core.data.image_parquet import is_image_parquet
from nsa_core.data.picture_folder import folder_pictures, listed, split_of
from nsa_core.data.picture_parquet import folder_parquet, parquet_pictures, splits_of_paths
from nsa_core.data.picture_source import Found, kind_of, read_file, valid_text
from nsa_core.errors import InputError

Source = str | Path | Sequence[str | Path]
"""A folder, an image file, a Parquet file (``PATH.parquet#label_column``), or several of them."""


def find(source: Source, split: str | None = None) -> Found:
    """What a source holds, or a split of it.

    Raises:
        InputError: nothing, or what cannot be told apart.
    """
    if isinstance(source, str | os.PathLike):
        found = _one(str(source), split)
    else:
        found = _several(_texts(source), split)
    if not found.names:
        raise InputError(f"{found.where} holds no image; need at least one")
    return found


def _texts(source: Sequence[str | Path]) -> list[str]:
    if not isinstance(source, Sequence) or not all(
        isinstance(each, str | os.PathLike) for each in source
    ):
        raise InputError(
            f"images are given as {type(source).__name__}; need the path of a folder, of a Parquet "
            "file or of an image, or a list of paths"
        )
    if not source:
        raise InputError("a list of images is empty; need at least one path")
    return [str(each) for each in source]


def picture_splits(source: str | Path) -> tuple[str, ...]:
    """The splits that a folder has, by its folders or its Parquet files; none of what has none."""
    folder = Path(source)
    if not str(source) or kind_of(folder) != "folder":
        return ()
    found = listed(folder)
    if parquet := [each.path for each in found if each.is_parquet]:
        return tuple(sorted(splits_of_paths(folder, parquet)))
    chosen, in_splits = split_of(found, None, str(folder))
    return tuple(sorted({each.split for each in chosen})) if in_splits else ()


def _one(text: str, split: str | None) -> Found:
    if not text:
        raise InputError("images are at '', an empty name; need a folder, an image or a file")
    path = Path(text)
    kind = kind_of(path)
    if kind == "folder":
        return _folder(path, split)
    if is_image_parquet(text):
        return parquet_pictures(text, split)
    if kind != "file":
        raise InputError(
            f"images {text!r}: there is {kind} of this name; need a folder, an image or a Parquet "
            "file"
        )
    if split is not None:
        raise InputError(f"{text!r} is one image and has no split {split!r}")
    name = valid_text(path.name)
    return Found(text, (name,), None, (), lambda: iter((partial(read_file, path),)))


def _folder(folder: Path, split: str | None) -> Found:
    found = listed(folder)
    parquet = [each for each in found if each.is_parquet]
    if not parquet:
        return folder_pictures(folder, found, split)
    if len(parquet) < len(found):
        image = next(each for each in found if not each.is_parquet)
        raise InputError(
            f"folder {str(folder)!r} holds Parquet files ({'/'.join(parquet[0].parts)}) and images "
            f"({'/'.join(image.parts)}); name the ones or the others"
        )
    for each in parquet:
        if each.reason:
            raise InputError(f"{each.path}: {each.reason}; name the file itself")
    return folder_parquet(folder, [each.path for each in parquet], split)


def _several(texts: list[str], split: str | None) -> Found:
    """One after another, each under the path that it was named by."""
    parts = [_one(text, split) for text in texts]
    folders = [
        Path(text) if kind_of(Path(text)) == "folder" else Path(text).parent for text in texts
    ]
    names = [
        valid_text(str(folder / name))
        for folder, part in zip(folders, parts, strict=True)
        for name in part.names
    ]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise InputError(f"a list of images has {name!r} {count} times; need each once")
    labels = [part.labels for part in parts if part.labels is not None]
    return Found(
        where=f"{texts[0]} and {len(texts) - 1} more",
        names=tuple(names),
        labels=tuple(chain.from_iterable(labels)) if len(labels) == len(parts) else None,
        class_names=tuple(dict.fromkeys(chain.from_iterable(part.class_names for part in parts))),
        encoded=lambda: chain.from_iterable(part.encoded() for part in parts),
    )
