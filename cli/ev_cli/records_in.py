"""The forms that records come in besides plain lines: which splitter and shaper a -f needs, and small things that options say."""

from __future__ import annotations

import os

from ev_cli.failures import UsageFailure
from ev_cli.formats import Verb, lex, unescape
from ev_cli.formats_in import FormatShaper, SizedSplitter, ends_itself
from ev_cli.lines import KeyedShaper, LineSplitter, Shaper

NAMED = "value, kv, json, csv, tsv, hex, base64, lp32 or a format such as '%k %v\\n'"


def splitter_and_shaper(
    form: str, delimiter: bytes | None, size_max: int, time_field: str | None = None
) -> tuple[LineSplitter | SizedSplitter, Shaper]:
    """What -f FORM needs: a named form, or a format with verbs."""
    lines = delimiter if delimiter is not None else b"\n"
    if form == "value":
        return LineSplitter(lines, size_max), Shaper()
    if form == "json":
        from ev_cli.json_in import JsonShaper

        return LineSplitter(lines, size_max), JsonShaper(time_field)
    if form in ("csv", "tsv"):
        from ev_cli.rows_in import RowShaper, RowSplitter

        if delimiter is not None:
            raise UsageFailure(f"-f {form} has rows, which end with a line", "leave out -D and -0")
        rows = RowShaper(form, time_field)
        return RowSplitter(rows, size_max), rows
    if form == "kv":
        return LineSplitter(lines, size_max), KeyedShaper(b"\t")
    if form in ("hex", "base64"):
        return LineSplitter(lines, size_max), FormatShaper([Verb("v", form)])
    if form == "lp32":
        form = "%V{big32}%v"
    if "%" not in form:
        raise UsageFailure(f"-f {form!r} is no format of records", NAMED)
    parts = lex(form)
    if not any(isinstance(part, Verb) and part.letter in "vsk" for part in parts):
        raise UsageFailure(f"-f {form!r} says where neither key nor value is", "%k and %v are")
    if ends_itself(parts):
        shaper = FormatShaper(parts)
        return SizedSplitter(shaper.steps, size_max), shaper
    last = parts[-1]
    if isinstance(last, bytes):
        return LineSplitter(last, size_max), FormatShaper(parts[:-1])
    return LineSplitter(lines, size_max), FormatShaper(parts)


def header(text: str) -> tuple[str, bytes | None]:
    """-H NAME=VALUE or NAME:VALUE, cut at whichever comes first; NAME alone has the value null."""
    places = [place for place in (text.find("="), text.find(":")) if place >= 0]
    if not text or 0 in places:
        raise UsageFailure(f"-H {text!r} names no header", "write NAME=VALUE, or NAME alone for null")
    if not places:
        return text, None
    place = min(places)
    return text[:place], os.fsencode(text[place + 1 :])


def delimiter(text: str | None, zero: bool) -> bytes | None:
    """-D or -0 as bytes; None when neither was given."""
    if zero:
        return b"\0"
    if text is None:
        return None
    found = unescape(text)
    if not found:
        raise UsageFailure("an empty delimiter separates nothing", "--whole makes one record of everything")
    return found
