"""Pages of the site that are no Markdown in docs/: measured results, and the notebook.

MkDocs calls these functions while it builds (``hooks`` in mkdocs.yml).
"""

import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what benchmarks/results holds as measured/, and a page for every notebook."""
    for path in sorted([*RESULTS.glob("*.md"), *RESULTS.glob("*.png")]):
        files.append(
            File.generated(
                config, f"measured/{path.name}", abs_src_path=str(path),
                inclusion=InclusionLevel.NOT_IN_NAV,
            )
        )  # fmt: skip
    for path in sorted(DOCS.glob("notebooks/*.ipynb")):
        page = File.generated(config, f"notebooks/{path.stem}.md", content=as_markdown(path))
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that lead to files where there is no site, here lead to the pages of these files."""
    place, _, _ = page.file.src_uri.rpartition("/")
    if place == "measured":
        return markdown.replace("](../../docs/", "](../")
    if place == "notebooks":
        return markdown
    markdown = re.sub(r"\]\((notebooks/\w+)\.ipynb\)", r"](\1.md)", markdown)
    return markdown.replace("](../benchmarks/results/", "](measured/")


def as_markdown(notebook: Path) -> str:
    """The cells of a notebook, one after the other, and the file itself to take along."""
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return "\n\n".join([*parts, f"[This page as a notebook]({notebook.name})"])
