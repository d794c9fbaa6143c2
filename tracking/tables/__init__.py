"""Many trials as three tables: read as they are, compacted, queried."""
