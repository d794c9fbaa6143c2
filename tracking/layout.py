"""How a study is reported, as plain values kept in the store."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SECTIONS = ("tables", "published", "pollution", "dynamics", "layers", "selection")
"""What a study can be about; sections of its report, see ``tracking.report.sections``."""


@dataclass(frozen=True)
class Published:
    """A published AUROC, and which of our scores it is compared with.

    Attributes:
        where: configuration fields that tell whose it is, the data set among them.
        auroc: mean over the normal classes, in [0, 1].
        scorer, layer: our score of the same kind.
        source: where it is published, for instance "Table 1".
    """

    where: Mapping[str, Any]
    auroc: float
    scorer: str = "k-cos"
    layer: str = "embedding"
    source: str = "Table 1"


@dataclass(frozen=True)
class Layout:
    """The arms of a study, its headline score, and what is shown first.

    Attributes:
        rows: the configuration fields that tell rows of the table, or lines of a plot, apart.
        columns: the field across the table; None for none.
        headline: the scorer that is meant where one number stands for a trial.
        compare: the field whose first value its others are compared with, all else being equal.
        lead: the sections that the study is about, of ``SECTIONS``: they are printed at its end.
        paper: published AUROC in [0, 1], k-Cos, by (data set, *rows, column).
        published: what else is published, each with its own score; see the section of that name.
    """

    rows: tuple[str, ...]
    columns: str | None = None
    headline: str = "c-cos"
    compare: str = "norm"
    lead: tuple[str, ...] = ("tables",)
    paper: Mapping[tuple[Any, ...], float] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        for name in self.lead:
            if name not in SECTIONS:
                raise ValueError(f"lead has {name!r}; need some of {', '.join(SECTIONS)}")

    def about(self) -> dict[str, Any]:
        """The same as plain values; see ``tracking.Store.about``."""
        fields = ("dataset", *self.rows, *([self.columns] if self.columns else []))
        return {
            "rows": list(self.rows),
            "columns": self.columns,
            "headline": self.headline,
            "compare": self.compare,
            "lead": list(self.lead),
            "paper": [
                {"where": dict(zip(fields, cell, strict=True)), "scorer": "k-cos", "auroc": value}
                for cell, value in self.paper.items()
            ],
            "published": [{**asdict(each), "where": dict(each.where)} for each in self.published],
        }
