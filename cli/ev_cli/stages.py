"""The warning for `ev … | jq … | handler`: it is jq that is seen at work, not the handler behind it."""

from __future__ import annotations

import os
import sys

from ev_cli import output, pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 100
_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish"))


def warning(readers: pipe.Readers) -> str:
    """What to say about the processes behind our pipe; nothing when there is only one."""
    above = _ancestors()
    pids = [pid for pid in readers.stages() if pid not in above]
    return text_for([_words(pid) for pid in pids], sys.argv[1:]) if len(pids) > 1 else ""


def _words(pid: int) -> list[str]:
    """The arguments of a stage; none when it is a part of a shell's script, which has those of the whole script."""
    words = pipe.command_line(pid)
    return [] if words == pipe.command_line(pipe.parent_of(pid)) else words


def text_for(stages: Sequence[list[str]], arguments: list[str]) -> str:
    """The remark for these stages of a pipeline behind `ev ARGUMENTS`."""
    import shlex

    pipeline = " | ".join([_shown(words) for words in stages])
    first = os.path.basename(stages[0][0]) if stages[0] else "the first stage"
    replacement = f"ev {shlex.join(arguments)} --batch {BATCH} -- sh -c {shlex.quote(pipeline)}"
    return output.safe(
        f"records are committed when {first} has taken them, not when what comes behind it has handled them; "
        f"nothing gets lost with: {replacement}"
    )


def _shown(words: list[str]) -> str:
    """A stage as one would type it. A shell without arguments is a piece of what was typed, which nobody can see any more."""
    import shlex

    if not words or (os.path.basename(words[0]).lstrip("-") in _SHELLS and len(words) < 2):
        return "\u2026"
    return shlex.join(words)


def _ancestors() -> set[int]:
    """The processes that have started us: what they read is what the whole pipeline says, as in $(…)."""
    found: set[int] = set()
    above = os.getppid()
    while above > 1 and above not in found:
        found.add(above)
        above = pipe.parent_of(above)
    return found
