"""A heat map: tiles with their numbers."""

from collections.abc import Mapping, Sequence

from tracking.report.charts import drawing, shortened, text

_CIVIDIS = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115),
    (138, 134, 120), (165, 156, 116), (195, 179, 105), (225, 204, 85), (254, 232, 56),
)  # fmt: skip
_TILE, _LEFT, _TOP = (58.0, 30.0), 66.0, 30.0


def heat_map(
    title: str,
    cells: Mapping[tuple[int, int], float],
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    span: tuple[float, float],
) -> str:
    """An SVG of shares in [0, 1] by (row, column) index, in %.

    ``rows`` and ``columns`` are a name and the names of the levels; ``span`` is the range that the
    colours cover. Missing cells stay empty.
    """
    width, height = _TILE
    bottom = _TOP + height * len(rows[1])
    middle = _LEFT + width * len(columns[1]) / 2
    parts = [text(4, 14, title, weight="600")]
    for (row, column), value in cells.items():
        x, y = _LEFT + column * width, _TOP + row * height
        share = (value - span[0]) / (span[1] - span[0]) if span[1] > span[0] else 0.5
        ink = "#ffffff" if share < 0.55 else "#111111"
        parts.append(
            f'<rect x="{x + 1:g}" y="{y + 1:g}" width="{width - 2:g}" height="{height - 2:g}" '
            f'rx="2" fill="{_colour(share)}"/>'
        )
        words = f"{100 * value:.1f}"
        parts.append(text(x + width / 2, y + height / 2 + 4, words, anchor="middle", fill=ink))
    for index, name in enumerate(rows[1]):
        place = _TOP + (index + 0.5) * height + 4
        parts.append(text(_LEFT - 6, place, shortened(name, 9), anchor="end"))
    for index, name in enumerate(columns[1]):
        place = _LEFT + (index + 0.5) * width
        parts.append(text(place, bottom + 16, shortened(name, 9), anchor="middle"))
    parts.append(text(4, _TOP - 4, rows[0], faint=True))
    parts.append(text(middle, bottom + 34, columns[0], anchor="middle", faint=True))
    return drawing(max(220.0, _LEFT + width * len(columns[1]) + 8), bottom + 42, parts)


def _colour(share: float) -> str:
    """The cividis map, readable by the colour-blind, dark for 0 and light for 1."""
    place = min(max(share, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    at = min(int(place), len(_CIVIDIS) - 2)
    mixed = (
        round(low + (place - at) * (high - low))
        for low, high in zip(_CIVIDIS[at], _CIVIDIS[at + 1], strict=True)
    )
    return "#" + "".join(f"{each:02x}" for each in mixed)
