"""A terminal that can be asked what it shows and how it is set: a server of tmux with one window."""

from __future__ import annotations

import os
import pathlib
import subprocess
import uuid

from support.waiting import wait_for

MODES = (
    "#{alternate_on} #{cursor_flag} #{mouse_any_flag}#{mouse_button_flag}#{mouse_standard_flag} #{wrap_flag} #{insert_flag} #{keypad_flag}"
)


class Tmux:
    """A server of tmux with one window of a given size, in which a shell runs."""

    def __init__(self, directory: pathlib.Path, variables: dict[str, str], size: tuple[int, int]) -> None:
        self.socket = directory / f"tmux-{uuid.uuid4().hex[:8]}"
        self.variables = {**variables, "TERM": "xterm-256color", "PATH": os.environ["PATH"]}
        columns, rows = map(str, size)
        settings = directory / "tmux.conf"
        settings.write_text("set -g default-terminal screen-256color\n")
        self("-f", str(settings), "new-session", "-d", "-x", columns, "-y", rows, "bash --norc --noprofile -i")

    def __call__(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", str(self.socket), *words], env=self.variables, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, text: str, *keys: str) -> None:
        if text:
            self("send-keys", "-l", text)
        if keys:
            self("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self("capture-pane", "-p")

    @property
    def modes(self) -> str:
        return self("display-message", "-p", MODES).strip()

    def wait_for(self, text: str) -> None:
        wait_for(lambda: text in self.screen, f"{text!r} on the screen")
