"""The completion script of each shell, written from the same data."""
