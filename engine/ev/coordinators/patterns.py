"""Regular expressions that take linear time, whatever they are: clients may send any.

What is understood is what RE2 has of the common syntax: characters and escapes, `.`, classes like [a-z0-9_], [[:alpha:]] and \\d \\w
\\s (\\D \\W \\S: the rest), groups (with a name too), `|`, the quantifiers * + ? {m} {m,} {m,n} (their lazy forms too: what matches as a
whole is the same), ^ $ \\A \\z, and the flags (?i) and (?s), for the rest of their group or for one of their own, (?i:…). A pattern
matches a name as a whole. Anything else is refused, as RE2 refuses back references and look-around.

The pattern becomes a machine whose states are all followed at once (Thompson 1968), so that no name takes longer than its length
times the size of the pattern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Test = Callable[[str], bool]

REPEATS_MAX: Final = 1000
STATES_MAX: Final = 5000
LENGTH_MAX: Final = 1000
DEPTH_MAX: Final = 50
ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
DIGITS: Final = frozenset("0123456789")
SPACES: Final = frozenset("\t\n\f\r ")
CLASSES: Final = {"d": DIGITS, "w": WORD, "s": SPACES}
LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
ASCII: Final = frozenset(map(chr, range(128)))
GRAPHIC: Final = frozenset(map(chr, range(33, 127)))
NAMED: Final = {
    "alnum": LOWER | UPPER | DIGITS,
    "alpha": LOWER | UPPER,
    "ascii": ASCII,
    "blank": frozenset("\t "),
    "cntrl": ASCII - GRAPHIC - {" "},
    "digit": DIGITS,
    "graph": GRAPHIC,
    "lower": LOWER,
    "print": GRAPHIC | {" "},
    "punct": GRAPHIC - LOWER - UPPER - DIGITS,
    "space": SPACES | {"\v"},
    "upper": UPPER,
    "word": WORD,
    "xdigit": DIGITS | frozenset("abcdefABCDEF"),
}


class PatternError(ValueError):
    """The pattern is none that is understood; the message says why."""


class Pattern:
    """A compiled pattern. Raises PatternError."""

    __slots__ = ("_accepting", "_beginnings", "_edges", "_endings", "_first", "_known", "_steps", "text")

    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_MAX:
            raise PatternError(f"a pattern of {len(text)} characters; at most {LENGTH_MAX} are taken")
        self.text = text
        self._edges: list[list[int]] = []  # of each state, where it goes without a character
        self._beginnings: dict[int, int] = {}  # where it goes at the beginning of the name only
        self._endings: dict[int, int] = {}  # and at its end
        self._steps: list[tuple[Test, int] | None] = []  # of each state, the test of a character and where it goes then
        self._first, self._accepting = _Parser(text, self).whole()
        self._known: dict[str, bool] = {}

    def matches(self, name: str) -> bool:
        """Whether the pattern matches all of the name."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._run(name)
        return known

    def _run(self, name: str) -> bool:
        states = self._closure({self._first}, at_start=True, at_end=not name)
        for number, character in enumerate(name, 1):
            reached = set()
            for state in states:
                step = self._steps[state]
                if step is not None and step[0](character):
                    reached.add(step[1])
            if not reached:
                return False
            states = self._closure(reached, at_start=False, at_end=number == len(name))
        return self._accepting in states

    def _closure(self, states: set[int], *, at_start: bool, at_end: bool) -> set[int]:
        """All states that are reached from these without another character."""
        found, open_states = set(states), list(states)
        while open_states:
            state = open_states.pop()
            reached = list(self._edges[state])
            if at_start and state in self._beginnings:
                reached.append(self._beginnings[state])
            if at_end and state in self._endings:
                reached.append(self._endings[state])
            for each in reached:
                if each not in found:
                    found.add(each)
                    open_states.append(each)
        return found

    # What the parser builds with: every piece is (its first state, its last state).

    def state(self) -> int:
        if len(self._edges) >= STATES_MAX:
            raise PatternError("the pattern is too large")
        self._edges.append([])
        self._steps.append(None)
        return len(self._edges) - 1

    def link(self, source: int, target: int) -> None:
        self._edges[source].append(target)

    def edge(self, *, is_beginning: bool) -> tuple[int, int]:
        """^ or $."""
        first, last = self.state(), self.state()
        (self._beginnings if is_beginning else self._endings)[first] = last
        return first, last

    def character(self, test: Test) -> tuple[int, int]:
        first, last = self.state(), self.state()
        self._steps[first] = (test, last)
        return first, last


class _Parser:
    """Recursive descent over a pattern's text."""

    def __init__(self, text: str, pattern: Pattern) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.pattern = pattern
        self.ignores_case = False
        self.dot_is_all = False

    def whole(self) -> tuple[int, int]:
        piece = self._either()
        if self.at < len(self.text):
            raise PatternError(f"unexpected {self.text[self.at]!r} at position {self.at}")
        return piece

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _take(self) -> str:
        if self.at >= len(self.text):
            raise PatternError("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def _either(self) -> tuple[int, int]:
        pattern = self.pattern
        first, last = pattern.state(), pattern.state()
        while True:
            begin, end = self._sequence()
            pattern.link(first, begin)
            pattern.link(end, last)
            if self._peek() != "|":
                return first, last
            self.at += 1

    def _sequence(self) -> tuple[int, int]:
        pattern = self.pattern
        first = last = pattern.state()
        while (following := self._peek()) and following not in "|)":
            begin, end = self._repeated()
            pattern.link(last, begin)
            last = end
        return first, last

    def _repeated(self) -> tuple[int, int]:
        started = self.at
        piece = self._atom()
        ended = self.at
        low, high = self._counts()
        if (low, high) == (1, 1):
            return piece
        if self._peek() == "?":
            self.at += 1  # lazy
        if self._peek() and self._peek() in "*+?{":
            raise PatternError(f"a quantifier after a quantifier at position {self.at}")
        return self._copies(piece, started, ended, low, high)

    def _copies(self, piece: tuple[int, int], started: int, ended: int, low: int, high: int | None) -> tuple[int, int]:
        """The piece as often as it may stand here; its text is read once more for each copy."""
        pattern, resume = self.pattern, self.at
        first = last = pattern.state()
        for number in range(max(low, 1) if high is None else high):
            if number:
                self.at = started
                piece = self._atom()
                assert self.at == ended
            begin, end = piece
            pattern.link(last, begin)
            after = pattern.state()
            pattern.link(end, after)
            if number >= low:
                pattern.link(last, after)
            if high is None and number == max(low, 1) - 1:
                pattern.link(after, begin)
            last = after
        self.at = resume
        return first, last

    def _counts(self) -> tuple[int, int | None]:
        match self._peek():
            case "*":
                counts: tuple[int, int | None] = (0, None)
            case "+":
                counts = (1, None)
            case "?":
                counts = (0, 1)
            case "{":
                return self._braces()
            case _:
                return 1, 1
        self.at += 1
        return counts

    def _braces(self) -> tuple[int, int | None]:
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : end].partition(",") if end >= 0 else ("", "", "")
        if not low.isdecimal() or (high and not high.isdecimal()):
            raise PatternError(f"a repeat count was expected at position {self.at}")
        self.at = end + 1
        least, most = int(low), int(high) if high else None if comma else int(low)
        if least > REPEATS_MAX or (most is not None and (most > REPEATS_MAX or most < least)):
            raise PatternError(f"a repeat count of {{{low}{comma}{high}}}")
        return least, most

    def _atom(self) -> tuple[int, int]:
        character = self._take()
        if character == "(":
            return self._group()
        if character == ".":
            return self.pattern.character((lambda _: True) if self.dot_is_all else lambda each: each != "\n")
        if character == "[":
            return self.pattern.character(self._class())
        if character == "\\":
            if self._peek() and self._peek() in "Az":
                return self.pattern.edge(is_beginning=self._take() == "A")
            allowed = self._escape()
            return self.pattern.character(allowed if callable(allowed) else self._equal_to(allowed))
        if character in "^$":
            return self.pattern.edge(is_beginning=character == "^")
        if character in "*+?{":
            raise PatternError(f"unexpected {character!r} at position {self.at - 1}")
        return self.pattern.character(self._equal_to(character))

    def _equal_to(self, character: str) -> Test:
        return {character.lower(), character.upper()}.__contains__ if self.ignores_case else character.__eq__

    def _group(self) -> tuple[int, int]:
        flags = self.ignores_case, self.dot_is_all
        if self.text.startswith("?P<", self.at):
            name, closed, _ = self.text[self.at + 3 :].partition(">")
            if not closed or not name or not set(name) <= WORD:
                raise PatternError(f"the name of a group was expected at position {self.at + 3}")
            self.at += len(name) + 4
        elif self._peek() == "?":
            self.at += 1
            if self._flags() == ")":
                first = self.pattern.state()
                return first, first  # the flags hold for the rest of the group that this stands in
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise PatternError("groups are nested too deeply")
        piece = self._either()
        self.depth -= 1
        self.ignores_case, self.dot_is_all = flags
        if self._take() != ")":
            raise PatternError("a group is not closed")
        return piece

    def _flags(self) -> str:
        """Set what stands behind `(?`; returns what ends it, `:` or `)`. Of m and U a name as a whole shows nothing."""
        started, value = self.at, True
        while (flag := self._take()) not in ":)":
            match flag:
                case "-":
                    value = False
                case "i":
                    self.ignores_case = value
                case "s":
                    self.dot_is_all = value
                case "m" | "U":
                    pass
                case _:
                    raise PatternError(f"a group of this kind at position {started - 1} is not understood")
        return flag

    def _escape(self) -> Test | str:
        """What stands behind a backslash: a class of characters, or one."""
        character = self._take()
        if character in CLASSES:
            return CLASSES[character].__contains__
        if character.lower() in CLASSES:
            others = CLASSES[character.lower()]
            return lambda each: each not in others
        if character in ESCAPED:
            return ESCAPED[character]
        if character.isalnum():
            raise PatternError(f"the escape \\{character} is not understood")
        return character

    def _class(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self.at += 1
        single: set[str] = set()
        ranges: list[tuple[str, str]] = []
        tests: list[Test] = []
        first = True
        while first or self._peek() != "]":
            first = False
            named = self._named_class()
            low = named or self._bound()
            if callable(low):
                tests.append(low)
            elif self._peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._bound()
                if callable(high):
                    raise PatternError("a range of characters ends in a class")
                if high < low:
                    raise PatternError(f"the range {low}-{high} is empty")
                ranges.append((low, high))
            else:
                single.add(low)
        self.at += 1

        def holds(each: str) -> bool:
            return each in single or any(low <= each <= high for low, high in ranges) or any(test(each) for test in tests)

        if self.ignores_case:
            return lambda each: (holds(each.lower()) or holds(each.upper())) != negated
        return lambda each: holds(each) != negated

    def _bound(self) -> Test | str:
        """A character of a class, or what an escape stands for."""
        character = self._take()
        return self._escape() if character == "\\" else character

    def _named_class(self) -> Test | None:
        """[:name:] within a class, if it stands here."""
        if not self.text.startswith("[:", self.at):
            return None
        end = self.text.find(":]", self.at + 2)
        name = self.text[self.at + 2 : end] if end >= 0 else ""
        members = NAMED.get(name.removeprefix("^"))
        if members is None:
            raise PatternError(f"the class of characters at position {self.at} is not understood")
        self.at = end + 2
        return (lambda each: each not in members) if name.startswith("^") else members.__contains__
