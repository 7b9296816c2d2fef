"""Figures in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Exposition:
    """Collects families of figures, in the order in which they are shown."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, text: str) -> None:
        self._lines += (f"# HELP {name} {text}", f"# TYPE {name} {kind}")

    def sample(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        self._lines.append(f"{name}{_labels(labels)} {value!r}")

    def one(self, name: str, kind: str, text: str, value: float) -> None:
        """A family of one."""
        self.family(name, kind, text)
        self.sample(name, value)

    def histogram(
        self, name: str, buckets: Sequence[int], bounds: Sequence[tuple[int, str]], total: float, labels: Mapping[str, str] | None = None
    ) -> None:
        """`bounds`: (number of buckets that lie below it, the bound as text)."""
        shown = dict(labels or {})
        for count, bound in bounds:
            self.sample(f"{name}_bucket", sum(buckets[:count]), {**shown, "le": bound})
        self.sample(f"{name}_bucket", sum(buckets), {**shown, "le": "+Inf"})
        self.sample(f"{name}_sum", total, shown)
        self.sample(f"{name}_count", sum(buckets), shown)

    def text(self) -> str:
        return "\n".join([*self._lines, ""])


def _labels(labels: Mapping[str, str] | None) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in labels.items()) + "}"
