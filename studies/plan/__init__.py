"""From a page to configurations and what they will cost."""
