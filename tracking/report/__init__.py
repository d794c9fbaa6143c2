"""A study's report: one content, shown on a terminal, as a page that opens offline, as Markdown."""
