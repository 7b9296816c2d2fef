"""One partition on disk: segments, indexes, producers, recovery, the commit journal."""
