"""Text in a given number of cells of the terminal: harmless, cut with an ellipsis or into several lines, filled up."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from ev_tui.harmless import safe

ELLIPSIS = "…"


def width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells of it. This is where text of others becomes harmless."""
    if width <= 0:
        return ""
    text = safe(text)
    length = width_of(text)
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    return " " * (width - length) + text if right else text + " " * (width - length)


def pieces_of(line: str, width: int) -> list[str]:
    """A line cut into pieces of so many cells."""
    if width_of(line) <= width:
        return [line]
    if line.isascii():
        return [line[begin : begin + width] for begin in range(0, len(line), width)]
    pieces, piece, used = [], "", 0
    for character in line:
        cells = width_of(character)
        if used + cells > width:
            pieces.append(piece)
            piece, used = "", 0
        piece += character
        used += cells
    return [*pieces, piece]
