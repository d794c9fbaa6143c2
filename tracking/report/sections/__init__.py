"""A question that a report answers, a file each."""
