"""Codec functions that are compiled already: what `ev` and an engine of its own version say to each other in a short-lived command.

Compiling one takes about a millisecond, loading it from here a tenth of that. The modules hold what `ev.wire.compiler` writes for
these versions (engine/codegen/ready.py has the list); `ev.wire.binding` gives the code its names, so they are never called in place.
"""

from __future__ import annotations

from ev.wire.ready.index import MODULES, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType


def code(verb: str, message: str, version: int) -> CodeType | None:
    """The code that encodes or decodes a version of a message, if it is here."""
    name = f"{verb}_{message}_{version}"
    module = MODULES.get(name)
    if module is None:
        return None
    function: FunctionType = getattr(load(module), name)
    return function.__code__
