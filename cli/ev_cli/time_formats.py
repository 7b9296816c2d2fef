"""Timestamps by a pattern: strftime's, or Go's, which rpk's users know."""

from __future__ import annotations

from ev_cli.formats import enclosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ev_cli.formats import Verb

    Piece = Callable[[datetime], str]

# Go writes a pattern as one moment, Monday 2 January 2006 15:04:05 -0700, in the wanted form.
_GO = {
    "January": "%B",
    "Monday": "%A",
    "2006": "%Y",
    "-07:00": "%:z",
    "Z07:00": "Z%:z",
    "-0700": "%z",
    "Z0700": "Z%z",
    "Jan": "%b",
    "Mon": "%a",
    "MST": "%Z",
    "01": "%m",
    "02": "%d",
    "03": "%I",
    "04": "%M",
    "05": "%S",
    "06": "%y",
    "15": "%H",
    "PM": "%p",
    "_2": "%e",
    "1": "%-m",
    "2": "%-d",
    "3": "%-I",
    "4": "%-M",
    "5": "%-S",
}


def time_format(verb: Verb, utc: bool) -> Callable[[int], bytes]:
    """A timestamp in ms as %d{strftime[…]} or %d{go[…]} writes it, in local time unless `utc`."""
    from datetime import UTC, datetime

    is_go = (verb.modifier or "").startswith("go")
    pattern = enclosed(verb, "go" if is_go else "strftime")
    pieces: list[Piece] = _go_pieces(pattern) if is_go else [lambda moment: moment.strftime(pattern)]

    def text(timestamp: int) -> bytes:
        try:
            moment = datetime.fromtimestamp(timestamp / 1000, UTC)
            shown = moment if utc else moment.astimezone()
        except (OverflowError, OSError, ValueError):
            return b"%dms" % timestamp
        return "".join([piece(shown) for piece in pieces]).encode("utf-8", "surrogateescape")

    return text


def _go_pieces(layout: str) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    while position < len(layout):
        word = next((word for word in _GO if layout.startswith(word, position)), None)
        digits = _fraction(layout, position)
        if word is not None:
            pieces.append(_strftime(_GO[word]))
            position += len(word)
        elif digits:
            pieces.append(_fraction_piece(digits, layout[position + 1] == "9"))
            position += 1 + digits
        else:
            character = layout[position]
            pieces.append(lambda moment, character=character: character)  # type: ignore[misc]
            position += 1
    return pieces


def _strftime(directive: str) -> Piece:
    if directive.startswith("Z"):  # UTC is written as Z
        return lambda moment: "Z" if not moment.utcoffset() else _zone(moment, colon=":" in directive)
    if directive == "%:z":
        return lambda moment: _zone(moment, colon=True)
    return lambda moment: moment.strftime(directive)


def _zone(moment: datetime, *, colon: bool) -> str:
    zone = moment.strftime("%z")
    return f"{zone[:3]}:{zone[3:]}" if colon else zone


def _fraction(layout: str, position: int) -> int:
    """How many digits a fraction of a second like .000 or .999 has that begins here."""
    if layout[position] not in ".," or layout[position + 1 : position + 2] not in ("0", "9"):
        return 0
    digit = layout[position + 1]
    end = position + 1
    while layout[end : end + 1] == digit:
        end += 1
    return end - position - 1


def _fraction_piece(digits: int, trimmed: bool) -> Piece:
    def text(moment: datetime) -> str:
        shown = f"{moment.microsecond * 1000:09d}"[:digits]
        shown = shown.rstrip("0") if trimmed else shown
        return f".{shown}" if shown else ""

    return text
