"""asyncio: listeners, connections and the daemon around the broker."""
