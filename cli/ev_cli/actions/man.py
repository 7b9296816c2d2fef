"""ev man: show the manual page of a command."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import DONE, NOT_FOUND, Failure
from ev_cli.naming import nearest
from ev_cli.packaged import MANUAL, packaged
from ev_cli.summaries import ALIASES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from typing import Any


def show_page(options: Any) -> int:
    pages = packaged(MANUAL)
    page = pages[page_of(options.words or [], pages)]
    if output.is_terminal(1) and _shown_by_man(page):
        return DONE
    from shutil import get_terminal_size

    from ev_cli.manual_text import rendered

    output.write_text(rendered(page.read_text(encoding="utf-8"), get_terminal_size().columns - 2, colour=output.has_colour()))
    return DONE


def page_of(words: list[str], pages: Iterable[str]) -> str:
    """The name of the page about these words: `ev-topic.1` for topic, for topics, and for topic create; `ev-config.5` for 5 config."""
    if len(words) > 1 and words[0].isdecimal():
        pages, words = [name for name in pages if name.endswith(f".{words[0]}")], words[1:]
    titles = {name.rpartition(".")[0]: name for name in sorted(pages, reverse=True)}  # of one title section 1 comes first
    if not words:
        return titles["ev"]
    first = ALIASES.get(words[0], words[0]).removeprefix("ev-")
    for title in (f"ev-{'-'.join([first, *words[1:]])}", f"ev-{first}", "ev" if first == "ev" else ""):
        if title in titles:
            return titles[title]
    known = sorted(title.removeprefix("ev-") for title in titles)
    near = nearest(first, known)
    raise Failure(
        f"there is no manual page about {words[0]!r}",
        f"did you mean {near!r}?" if near else f"there are {', '.join(known)}",
        code=NOT_FOUND,
    )


def _shown_by_man(page: Traversable) -> bool:
    """Let man show it; False when there is no man, or none that shows a file."""
    import subprocess
    from importlib.resources import as_file
    from shutil import which

    program = which("man")
    if program is None:
        return False
    with as_file(page) as path:
        return subprocess.run([program, str(path)]).returncode == 0
