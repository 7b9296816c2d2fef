"""The types that a setting may have: each parses what a person wrote, bounds it, and prints it as Kafka's tools do."""

from __future__ import annotations

from typing import Final, Generic, Self, TypeVar, overload

from ev.errors import SettingError

INT_MAX: Final = (1 << 31) - 1
LONG_MAX: Final = (1 << 63) - 1

Value = TypeVar("Value")


class Setting(Generic[Value]):
    """One row. Read through an instance of `Settings` it is the value, read through the class it is the row itself."""

    #: Kafka's number for the type, as DescribeConfigs reports it.
    KIND: int = 0
    KIND_NAME: str = "unknown"

    def __init__(self, name: str, default: Value, doc: str, *, unit: str = "", alias: str | None = None) -> None:
        self.name = name
        self.default = default
        self.doc = doc
        self.unit = unit
        self.alias = alias
        self.attribute = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    # There is no __set__: the value in the instance's dictionary wins, and reading a setting costs what reading any attribute costs.
    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> Self | Value:
        return self if instance is None else self.default

    def parse(self, text: str) -> Value:
        raise NotImplementedError

    def render(self, value: Value) -> str:
        return str(value)

    def bounds(self) -> str:
        """The permitted values in words, for messages and manuals."""
        return f"any {self.KIND_NAME}"

    def refused(self, text: str) -> SettingError:
        return SettingError(f"Invalid value {text!r} for {self.name}: expected {self.bounds()}")


class Number(Setting[int]):
    KIND = 5
    KIND_NAME = "long"

    def __init__(
        self, name: str, default: int, doc: str, *, low: int = 0, high: int = LONG_MAX, unit: str = "", alias: str | None = None
    ) -> None:
        super().__init__(name, default, doc, unit=unit, alias=alias)
        self.low = low
        self.high = high
        if high <= INT_MAX:
            self.KIND, self.KIND_NAME = 3, "int"

    def parse(self, text: str) -> int:
        stripped = text.strip()
        digits = stripped[1:] if stripped[:1] in ("-", "+") else stripped
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise self.refused(text)
        value = int(stripped)
        if not self.low <= value <= self.high:
            raise self.refused(text)
        return value

    def bounds(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"a whole number from {self.low} to {self.high}{unit}"


class Ratio(Setting[float]):
    KIND = 6
    KIND_NAME = "double"

    def parse(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self.refused(text) from None
        if not 0.0 <= value <= 1.0:
            raise self.refused(text)
        return value

    def bounds(self) -> str:
        return "a number from 0 to 1"


class Switch(Setting[bool]):
    KIND = 1
    KIND_NAME = "boolean"

    def parse(self, text: str) -> bool:
        match text.strip().lower():
            case "true":
                return True
            case "false":
                return False
        raise self.refused(text)

    def render(self, value: bool) -> str:
        return "true" if value else "false"

    def bounds(self) -> str:
        return "true or false"


class Text(Setting[str]):
    KIND = 2
    KIND_NAME = "string"

    def parse(self, text: str) -> str:
        return text


class Secret(Text):
    """A text that is shown to nobody."""

    KIND = 9
    KIND_NAME = "password"


class Choice(Setting[str]):
    KIND = 2
    KIND_NAME = "string"

    def __init__(self, name: str, default: str, doc: str, *, choices: tuple[str, ...]) -> None:
        super().__init__(name, default, doc)
        self.choices = choices

    def parse(self, text: str) -> str:
        value = text.strip()
        if value not in self.choices:
            raise self.refused(text)
        return value

    def bounds(self) -> str:
        return "one of " + ", ".join(choice or "(nothing)" for choice in self.choices)


class Words(Setting[tuple[str, ...]]):
    """A comma-separated list; `choices` empty means that any word will do."""

    KIND = 7
    KIND_NAME = "list"

    def __init__(self, name: str, default: tuple[str, ...], doc: str, *, choices: tuple[str, ...] = ()) -> None:
        super().__init__(name, default, doc)
        self.choices = choices

    def parse(self, text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        if self.choices and not set(words) <= set(self.choices):
            raise self.refused(text)
        return words

    def render(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def bounds(self) -> str:
        return "a list of " + (", ".join(self.choices) if self.choices else "words separated by commas")


class Principals(Setting[tuple[str, ...]]):
    """Who somebody is, as Kafka writes it: `User:alice;User:bob`."""

    KIND = 2
    KIND_NAME = "string"

    def parse(self, text: str) -> tuple[str, ...]:
        principals = tuple(dict.fromkeys(each.strip() for each in text.split(";") if each.strip()))
        if not all(kind and name for kind, _, name in (each.partition(":") for each in principals)):
            raise self.refused(text)
        return principals

    def render(self, value: tuple[str, ...]) -> str:
        return ";".join(value)

    def bounds(self) -> str:
        return "principals like User:alice, separated by semicolons"


class Counts(Setting[dict[str, int]]):
    """A number for each of some addresses: `10.0.0.1:100,[::1]:5`."""

    KIND = 2
    KIND_NAME = "string"

    def parse(self, text: str) -> dict[str, int]:
        from ipaddress import ip_address  # noqa: PLC0415 - hardly anybody needs it

        counts: dict[str, int] = {}
        for word in text.split(","):
            host, _, number = word.strip().rpartition(":")
            if not word.strip():
                continue
            try:
                address = str(ip_address(host.strip("[]")))
            except ValueError:
                raise self.refused(text) from None
            if not (number.isascii() and number.isdigit() and int(number) <= INT_MAX):
                raise self.refused(text)
            counts[address] = int(number)
        return counts

    def render(self, value: dict[str, int]) -> str:
        return ",".join(f"[{address}]:{count}" if ":" in address else f"{address}:{count}" for address, count in value.items())

    def bounds(self) -> str:
        return "addresses, each with a number, separated by commas, like 10.0.0.1:100"
