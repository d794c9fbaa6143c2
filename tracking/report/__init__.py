"""A study's report: one content, written as a page that opens offline and as Markdown.

python -m tracking.report STORE
"""

from tracking.report.document import write_report

__all__ = ["write_report"]
