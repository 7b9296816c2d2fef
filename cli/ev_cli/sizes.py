"""Numbers as people write them: `64MiB`, `1.5M`."""

from __future__ import annotations

from ev_cli.failures import UsageFailure

_FACTORS = {
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12, "tb": 10**12,
    "ki": 2**10, "kib": 2**10, "mi": 2**20, "mib": 2**20, "gi": 2**30, "gib": 2**30, "ti": 2**40, "tib": 2**40,
}  # fmt: skip


def number_of(text: str, flag: str = "") -> float:
    """`1000`, `1.5k`, `64MiB`: k, M, G and T are powers of 1000, with an i behind them of 1024."""
    digits = len(text) - len(text.lstrip("0123456789."))
    try:
        return float(text[:digits]) * _FACTORS[text[digits:].strip().lower()]
    except (ValueError, KeyError):
        raise UsageFailure(f"{flag + ' ' if flag else ''}{text!r} is no number", "write 1000, 1.5k or 64MiB") from None
