"""The terminal dashboard of ev."""
