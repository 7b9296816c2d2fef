"""A manual page as plain text, for a machine that has no man: the macros that our pages use, and no others."""

from __future__ import annotations

INDENT = 7
DEEPER = 4
BOLD, ITALIC, PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"
_FONTS = {"B": "BB", "I": "II", "BR": "BR", "RB": "RB", "BI": "BI", "IB": "IB", "RI": "RI", "IR": "IR"}


def rendered(page: str, width: int, *, colour: bool) -> str:
    """The page in lines of at most `width`; bold and underlined where colour is wanted."""
    layout = _Layout(width, colour)
    for line in page.splitlines():
        layout.take(line)
    layout.finish()
    return "\n".join(layout.lines).strip("\n") + "\n"


class _Layout:
    """Collects words of a paragraph and sets them when it ends."""

    def __init__(self, width: int, colour: bool) -> None:
        self.lines: list[str] = []
        self._width = max(40, min(width, 100))
        self._colour = colour
        self._words: list[str] = []
        self._indent = INDENT
        self._depth = 0
        self._tag: str | None = None
        self._awaits_tag = False
        self._as_it_is = False
        self._is_below_heading = False

    def take(self, line: str) -> None:
        if self._as_it_is and not line.startswith(".fi"):
            self.lines.append(" " * (self._indent + DEEPER) + self._text(line, "R"))
            return
        if not line.startswith("."):
            self._add(self._text(line, "R"))
            return
        macro, _, rest = line[1:].partition(" ")
        if macro in _FONTS:
            self._add(self._fonts(_FONTS[macro], _arguments(rest)))
        elif macro in ("SH", "SS"):
            self._break()
            self._indent = INDENT + self._depth
            heading = self._styled(" ".join(_arguments(rest)), "B")
            self._is_below_heading = True
            self.lines += ["", heading if macro == "SH" else f"   {heading}"]
        elif macro in ("PP", "br"):
            self._break()
            if macro == "PP":
                self._indent = INDENT + self._depth
                self._space()
        elif macro in ("TP", "IP"):
            self._break()
            self._space()
            self._indent = INDENT + self._depth
            words = _arguments(rest)
            if macro == "TP":
                self._awaits_tag = True
            elif words:
                self._set_tag(self._text(words[0], "R"))
            else:
                self._indent += INDENT
        elif macro in ("RS", "RE"):
            self._break()
            self._depth += DEEPER if macro == "RS" else -DEEPER
            self._indent = INDENT + self._depth
        elif macro in ("nf", "fi"):
            self._break()
            self._as_it_is = macro == "nf"

    def finish(self) -> None:
        self._break()

    def _add(self, text: str) -> None:
        if self._awaits_tag:
            self._awaits_tag = False
            self._set_tag(text)
        else:
            self._words += text.split()

    def _set_tag(self, tag: str) -> None:
        self._tag = tag
        self._indent += INDENT

    def _space(self) -> None:
        if self.lines and self.lines[-1] and not self._is_below_heading:
            self.lines.append("")

    def _break(self) -> None:
        """Set what was collected, the tag in front of it."""
        tag, words = self._tag, self._words
        if tag is not None or words:
            self._is_below_heading = False
        self._tag, self._words = None, []
        margin = " " * self._indent
        line = margin
        if tag is not None:
            outer = " " * (self._indent - INDENT)
            if words and _length(tag) < INDENT:
                line = outer + tag + " " * (INDENT - _length(tag))
            else:
                self.lines.append(outer + tag)
        length = len(margin)
        is_empty = True
        for word in words:
            if not is_empty and length + 1 + _length(word) > self._width:
                self.lines.append(line)
                line, length, is_empty = margin, len(margin), True
            line += word if is_empty else f" {word}"
            length += _length(word) + (0 if is_empty else 1)
            is_empty = False
        if not is_empty:
            self.lines.append(line)

    def _fonts(self, fonts: str, words: list[str]) -> str:
        """One font for all words, or two in turn without a space between them."""
        if fonts[0] == fonts[1]:
            return self._text(" ".join(words), fonts[0])
        return "".join([self._text(word, fonts[index % 2]) for index, word in enumerate(words)])

    def _text(self, text: str, font: str) -> str:
        """Text with its escapes resolved, and its changes of font shown."""
        found = ""
        piece = ""
        index = 0
        while index < len(text):
            character = text[index]
            if character != "\\" or index + 1 >= len(text):
                piece += character
                index += 1
                continue
            escape = text[index + 1]
            if escape == "f":
                found += self._styled(piece, font)
                piece, font = "", text[index + 2 : index + 3]
                index += 3
            elif escape == "(":
                piece += {"aq": "'", "em": "-", "en": "-", "bu": "*"}.get(text[index + 2 : index + 4], "")
                index += 4
            else:
                piece += {"e": "\\", "&": "", " ": " "}.get(escape, escape)
                index += 2
        return found + self._styled(piece, font)

    def _styled(self, text: str, font: str) -> str:
        if not text or not self._colour or font == "R":
            return text
        start = BOLD if font == "B" else ITALIC
        return " ".join([f"{start}{word}{PLAIN}" if word else "" for word in text.split(" ")])


def _arguments(text: str) -> list[str]:
    """The arguments of a macro: words, or what stands between quotes."""
    found: list[str] = []
    rest = text.strip()
    while rest:
        if rest.startswith('"'):
            word, _, rest = rest[1:].partition('"')
        else:
            word, _, rest = rest.partition(" ")
            while word.endswith("\\") and rest:  # a space that belongs to the word
                more, _, rest = rest.partition(" ")
                word += f" {more}"
        found.append(word)
        rest = rest.lstrip(" ")
    return found


def _length(text: str) -> int:
    """How wide it is, without the marks of fonts."""
    for mark in (BOLD, ITALIC, PLAIN):
        text = text.replace(mark, "")
    return len(text)
