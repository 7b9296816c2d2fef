"""Write completions/ from the command tree, one script for each shell: `python -m generate.completions`.

The scripts are static: pressing TAB starts no Python. Names of topics and groups come from the files that `ev_cli.remembered` writes,
those of contexts from the configuration.
"""

from __future__ import annotations

from generate.shells import bash, fish, powershell, zsh
from generate.shells.offers import commands
from generate.tree import ROOT, nouns

COMPLETIONS = ROOT / "completions"


def scripts() -> dict[str, str]:
    """The text of every script by its file name, which is the one under which its shell looks for it."""
    tree = nouns()
    found = commands(tree)
    return {
        "ev.bash": bash.script(tree, found),
        "_ev": zsh.script(tree, found),
        "ev.fish": fish.script(tree, found),
        "ev.ps1": powershell.script(tree, found),
    }


if __name__ == "__main__":
    COMPLETIONS.mkdir(exist_ok=True)
    for file_name, script in scripts().items():
        (COMPLETIONS / file_name).write_text(script)
