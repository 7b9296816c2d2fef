"""The command line of ev."""
