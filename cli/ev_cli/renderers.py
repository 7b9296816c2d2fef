"""Which renderer a command line asks for: -f, -J, -K, -O, -D, -0, --null, --fields, -s."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import UsageFailure
from ev_cli.formats import FormatRenderer, LengthPrefixedRenderer, Renderer, Verb, lex, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAMED = ("value", "kv", "json", "pretty", "hex", "base64", "raw", "lp32")


def renderer_of(options: Any) -> Renderer:
    """How a record is written."""
    form = form_of(options)
    if form == "json":
        return _json(options)
    if options.embed_json or options.fields is not None:
        raise UsageFailure(f"--fields and --embed-json do not go with -f {form}", "they are for -J; a format has %k and %v")
    renderer = _plain(form, options)
    if not has_serdes(options):
        return renderer
    from ev_cli.serdes import SerdeRenderer, serdes_of

    return SerdeRenderer(renderer, *serdes_of(options))


def has_serdes(options: Any) -> bool:
    """Whether keys or values are shown by a serde: -s, or a schema file."""
    return bool(options.serde or options.schema or options.key_schema or options.proto)


def form_of(options: Any) -> str:
    """The name of the form, or the format with verbs. A person at a terminal gets the pretty one."""
    if options.json_records:
        if options.format not in (None, "json"):
            raise UsageFailure(f"-J and -f {options.format} are two forms", "give one of them")
        return "json"
    if options.format is not None:
        return str(options.format)
    if options.fields is not None or options.embed_json:
        return "json"
    return "pretty" if output.is_terminal(1) and options.key_delimiter is None and not options.offsets else "value"


def _json(options: Any) -> Renderer:
    if options.key_delimiter is not None or options.offsets:
        raise UsageFailure("-K and -O do not go with -f json", "the object has key and offset")
    from ev_cli.json_out import JsonRenderer, fields_of

    if not has_serdes(options):
        return JsonRenderer(bool(options.embed_json), fields_of(options.fields))
    from ev_cli.serdes import serdes_of

    return JsonRenderer(bool(options.embed_json), fields_of(options.fields), *serdes_of(options))


def _plain(form: str, options: Any) -> Renderer:
    """Everything but JSON."""
    null = "NULL" if options.null_is_null and options.null is None else options.null
    null_bytes = b"" if null is None else os.fsencode(null)
    utc = bool(options.utc)
    delimiter = b"\0" if options.zero else b"\n" if options.delimiter is None else unescape(options.delimiter)
    if options.key_delimiter is not None or options.offsets:
        if form not in ("value", "kv"):
            raise UsageFailure(f"-K and -O do not go with -f {form}", "write %k and %o into the format")
        between = b"\t" if options.key_delimiter is None else unescape(options.key_delimiter)
        with_key = options.key_delimiter is not None or form == "kv"
        offset_parts: list[bytes | Verb] = [Verb("o", None), between] if options.offsets else []
        key_parts: list[bytes | Verb] = [Verb("k", None), between] if with_key else []
        return FormatRenderer("", null_bytes, [*offset_parts, *key_parts, Verb("v", None), delimiter])
    named: dict[str, Callable[[], Renderer]] = {
        "value": lambda: Renderer(delimiter, null_bytes),
        "raw": lambda: Renderer(b"", null_bytes),
        "pretty": lambda: _pretty(utc),
        "lp32": LengthPrefixedRenderer,
        "kv": lambda: FormatRenderer("", null_bytes, [Verb("k", None), b"\t", Verb("v", None), delimiter]),
        "hex": lambda: FormatRenderer("", null_bytes, [Verb("v", "hex"), delimiter]),
        "base64": lambda: FormatRenderer("", null_bytes, [Verb("v", "base64"), delimiter]),
    }
    if form in named:
        return named[form]()
    parts = lex(form)
    if not any(isinstance(part, Verb) for part in parts):
        raise UsageFailure(f"-f {form!r} is no format", f"one of {', '.join(NAMED)}, or verbs such as '%o %k %v\\n'")
    return FormatRenderer("", null_bytes, parts, utc=utc)


def _pretty(utc: bool) -> Renderer:
    from ev_cli.pretty import PrettyRenderer

    return PrettyRenderer(output.has_colour(), utc=utc)
