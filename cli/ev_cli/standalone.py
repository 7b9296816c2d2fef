"""Start of the standalone ev: one program with its own Python, that is the command line and every program which that starts."""

from __future__ import annotations

import os
import sys

from ev_cli.beside import RUN

LIBRARIES = "LD_LIBRARY_PATH"


def main() -> None:
    """`ev __run MODULE ARGUMENTS` is one of our modules as a program, everything else the command line."""
    _give_back_libraries()
    if sys.argv[1:2] == [RUN] and len(sys.argv) > 2:
        import runpy

        module = sys.argv[2]
        if module.partition(".")[0] not in ("ev", "ev_cli", "ev_tui"):
            raise SystemExit(f"{module} is none of ev's modules")
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    from ev_cli.__main__ import main as command_line

    command_line()


def _give_back_libraries() -> None:
    """Programs that ev starts for its user (handlers, man, password commands) have nothing to do with the libraries that ev brings."""
    before = os.environ.pop(f"{LIBRARIES}_ORIG", None)
    if before is not None:
        os.environ[LIBRARIES] = before
    elif os.environ.get(LIBRARIES, "").startswith(os.path.dirname(sys.executable)):
        del os.environ[LIBRARIES]


if __name__ == "__main__":
    main()
