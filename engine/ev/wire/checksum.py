"""CRC-32C, the checksum of record batches and producer snapshots.

The work is done by the package `crc32c` (hardware instructions, 25 GB/s). Its `__init__` reads package metadata and builds an argument
parser, which costs 55 ms at start-up: more than all the rest of `ev produce`. So its extension module is loaded by itself, and
the package is imported as a whole only where the extension is not found where it should be.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def _extension() -> ModuleType | None:
    loaded = sys.modules.get("crc32c")
    if loaded is not None:
        return loaded
    package = PathFinder.find_spec("crc32c")
    if package is None or not package.submodule_search_locations:
        return None
    spec = PathFinder.find_spec("_crc32c", list(package.submodule_search_locations))
    if spec is None or spec.loader is None:
        return None
    module = spec.loader.create_module(spec)
    if module is not None:
        spec.loader.exec_module(module)
    return module


def _load() -> Callable[..., int]:
    module = _extension()
    if module is None:
        import crc32c  # noqa: PLC0415 - the slow way, see above

        return crc32c.crc32c
    function: Callable[..., int] = module.crc32c
    return function


crc32c: Callable[..., int] = _load()
"""`crc32c(data, value=0)`: the checksum of data; `value` is the checksum of what came before it."""
