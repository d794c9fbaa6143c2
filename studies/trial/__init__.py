"""One trial on one thread; knows nothing of Ray."""
