"""The command tree (see ev_cli.tree) for the generators, and where the repository is.

Run the generators as `python -m generate.NAME` with `engine` and `cli` on the path.
"""

from __future__ import annotations

import pathlib

from ev_cli.tree import Argument, Noun, Option, Verb, is_example, nouns

__all__ = ["ROOT", "Argument", "Noun", "Option", "Verb", "is_example", "nouns"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
