"""ev completion: write the completion script of a shell, or put it where the shell looks for it."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import DONE, Failure, UsageFailure
from ev_cli.packaged import COMPLETIONS, packaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPTS = {"bash": "ev.bash", "zsh": "_ev", "fish": "ev.fish", "powershell": "ev.ps1", "pwsh": "ev.ps1"}


def complete(options: Any) -> int:
    if options.shell == "install":
        return _install(options)
    if options.shells:
        raise UsageFailure("--shell is for install", f"ev completion {options.shells[0]}")
    output.write_text(script_for(options.shell))
    return DONE


def script_for(shell: str) -> str:
    name = SCRIPTS.get(shell)
    if name is None:
        raise UsageFailure(f"there is no completion for {shell!r}", "bash, zsh, fish or powershell")
    return packaged(COMPLETIONS)[name].read_text(encoding="utf-8")


def _install(options: Any) -> int:
    shells = options.shells or [os.path.basename(os.environ.get("SHELL", ""))]
    if shells == [""]:
        raise UsageFailure("SHELL does not say which shell is yours", "ev completion install --shell bash|zsh|fish|powershell")
    for shell in shells:
        script = script_for(shell)
        path, hint = place_of(shell, os.environ)
        _write(path, script)
        if not options.quiet:
            output.say(f"ev: completion for {shell} is in {path}{f' ({hint})' if hint else ''}; a new shell has it")
    return DONE


def place_of(shell: str, environ: Any) -> tuple[str, str]:
    """Where the shell looks for completions of this user, and what has to be done beside putting the script there."""
    home = environ.get("HOME", "")
    if home[:1] != "/":
        raise UsageFailure("there is no home directory to install into", f"ev completion {shell} >FILE")
    data = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    if shell == "bash":
        folder = environ.get("BASH_COMPLETION_USER_DIR") or os.path.join(data, "bash-completion")
        hint = "it needs the package bash-completion" if not _has_bash_completion() else ""
        return os.path.join(folder, "completions", "ev"), hint
    if shell == "zsh":
        folder = os.path.join(data, "zsh", "site-functions")
        return os.path.join(folder, "_ev"), f"with fpath+=({folder}) before compinit in .zshrc"
    if shell == "fish":
        return os.path.join(config, "fish", "completions", "ev.fish"), ""
    return os.path.join(config, "powershell", "ev.ps1"), "with . ~/.config/powershell/ev.ps1 in $PROFILE"


def _has_bash_completion() -> bool:
    return any(os.path.exists(f"{prefix}/share/bash-completion/bash_completion") for prefix in ("/usr", "/usr/local", "/opt/homebrew"))


def _write(path: str, text: str) -> None:
    written = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(written, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(written, path)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", "print it instead, and put it where your shell finds it") from None
