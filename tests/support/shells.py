"""Real shells on terminals of their own, in which `ev` prints its arguments: what TAB makes of a line shows in what Enter runs."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pty
import select
import shutil
import subprocess
import termios
import time

END = "@ready@"

_PRINTS = {
    "bash": "ev() { printf '<%s>' \"$@\"; echo; }",
    "zsh": "ev() { printf '<%s>' \"$@\"; echo }",
    "fish": "function ev; printf '<%s>' $argv; echo; end",
}
_STARTS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"], "fish": ["fish", "--no-config", "-i"]}
_READS = {
    "bash": "source {script}",
    "zsh": "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D",
    "fish": "source {script}",
}
_SCRIPTS = {"bash": "ev.bash", "zsh": "_ev", "fish": "ev.fish"}


def _take_terminal() -> None:
    """Make the terminal the one that the new session is controlled from, as fish insists."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Shell:
    """One shell with the completion loaded."""

    def __init__(self, name: str, completions: pathlib.Path, directory: pathlib.Path, variables: dict[str, str]) -> None:
        program = shutil.which(name)
        assert program is not None
        self.seen = ""
        self._master, slave = pty.openpty()
        environ = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", "HOME": str(directory), **variables}
        self._process = subprocess.Popen(
            [program, *_STARTS[name][1:]],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ,
            cwd=directory,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        script = completions / _SCRIPTS[name]
        setup = [_PRINTS[name], _READS[name].format(script=script, folder=completions)]
        for line in setup:
            self._type(f"{line}\n")
        self._wait_for_end()

    def run(self, typed: str) -> list[str]:
        """The arguments of `ev` when this is typed, TABs in it, and Enter."""
        self.seen = ""
        self._type(f"{typed}\n")
        self._wait_for_end()
        lines = [line for line in self.seen.replace("\r", "\n").split("\n") if line.startswith("<") and line.endswith(">")]
        assert lines, self.seen
        return lines[0][1:-1].split("><")

    def _wait_for_end(self) -> None:
        """Until the shell has done all that was typed: it is told to say so, in two pieces that its echo does not join."""
        self._type(f"printf '%s%s\\n' {END[:4]} {END[4:]}\n")
        deadline = time.monotonic() + 30
        while END not in self.seen:
            assert select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0], self.seen
            try:
                self.seen += os.read(self._master, 65536).decode(errors="replace")
            except OSError as error:  # Linux says so when the shell has ended
                raise AssertionError(f"the shell has ended: {self.seen!r}") from error

    def _type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
