"""Windows over a screen: a frame with a title, and the three that are needed everywhere: look, confirm by typing, fill in a form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input

from ev_tui.harmless import safe
from ev_tui.widgets.line import Said
from ev_tui.widgets.plain import Plain

if TYPE_CHECKING:
    from ev_tui.app import EvApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result], Generic[Result]):
    """A window. Esc leaves it with None, Ctrl-C leaves the interface, as everywhere. What changes something shows the command for that."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="dialog.cancel"),
    ]
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > #window {
        width: 90%; max-width: 110; height: auto; max-height: 90%; border: round $primary; background: $surface; padding: 0 1;
    }
    Dialog.-narrow > #window { width: 100%; }
    Dialog.-short > #window { max-height: 100%; }
    Dialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    Dialog Input:focus { border: none; background: $boost; }
    Dialog #command { color: $text-muted; }
    Dialog #trouble { color: $text-error; }
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.heading = title

    def compose(self) -> ComposeResult:
        with Vertical(id="window") as window:
            window.border_title = _title(self.heading)
            yield from self.inside()

    def inside(self) -> ComposeResult:
        raise NotImplementedError

    @property
    def ev(self) -> EvApp:
        return cast("EvApp", self.app)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def on_key(self, event: events.Key) -> None:
        """What was typed before the line to type in had the focus."""
        if event.is_printable and event.character is not None and self.focused is None:
            for line in self.query(Input).results():
                line.insert_text_at_cursor(event.character)
                event.stop()
                return


def _title(text: str) -> str:
    """A border's title is markup to Textual: what looks like a tag is made text."""
    return safe(text).replace("[", "\\[")


class Look(Dialog[None]):
    """Text to read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,enter", "cancel", "close", id="look.close"),
        Binding("j", "scroll(1)", "down", show=False, id="look.down"),
        Binding("k", "scroll(-1)", "up", show=False, id="look.up"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__(title)
        self.text = text

    def inside(self) -> ComposeResult:
        with VerticalScroll():
            yield Plain(self.text)

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)


class Confirm(Dialog[bool]):
    """Before something is lost for good: what happens, the command, and a name to type. True when the name was typed."""

    def __init__(self, title: str, text: str, name: str, words: Sequence[str]) -> None:
        super().__init__(title)
        self.text = text
        self.name_wanted = name
        self.words = words

    def inside(self) -> ComposeResult:
        target = self.ev.session.target
        if target.protected:
            self.name_wanted = target.name
        what = "The context is protected: type its name" if target.protected else "Type the name"
        yield Plain(self.text)
        yield Plain(f"\n$ {self.ev.command_of(self.words)}", id="command")
        yield Plain(f"\n{what}, {self.name_wanted}, and press enter. Esc leaves all as it is.")
        yield Input(placeholder=safe(self.name_wanted))
        yield Plain("", id="trouble")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value == self.name_wanted or event.value == safe(self.name_wanted):
            self.dismiss(True)
        else:
            self.query_one("#trouble", Plain).say("that is not the name: nothing was done")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    check: Callable[[str], str | None] | None = None
    """What is wrong with a value, or None."""
    secret: bool = False
    """A password: nobody sees what is typed."""


class Form(Dialog[dict[str, str]]):
    """Values to fill in; tab goes on, enter in the last field does it. Gives them by name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "submit", "do it", id="form.submit"),
        Binding("down", "app.focus_next", "next field", show=False),
        Binding("up", "app.focus_previous", "previous field", show=False),
    ]
    DEFAULT_CSS = """
    Form #fields { height: auto; max-height: 20; }
    """

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        words: Callable[[dict[str, str]], Sequence[str]],
        *,
        text: str = "",
        preview: Callable[[dict[str, str]], str] | None = None,
    ) -> None:
        """`preview` says what the values would do, while they are typed."""
        super().__init__(title)
        self.fields = fields
        self.words = words
        self.text = text
        self.preview = preview

    def inside(self) -> ComposeResult:
        if self.text:
            yield Plain(self.text + "\n")
        with VerticalScroll(id="fields", can_focus=False):
            for index, field in enumerate(self.fields):
                yield Said((field.label, "accent"))
                yield Input(value=field.value, placeholder=safe(field.hint), password=field.secret, id=f"field-{index}")
        yield Plain("", id="preview")
        yield Plain("", id="command")
        yield Plain("", id="trouble")
        yield Said(
            ("enter", "key"),
            (" next, at the end: do it   ", "dim"),
            ("f10", "key"),
            (" do it   ", "dim"),
            ("esc", "key"),
            (" cancel", "dim"),
        )

    def on_mount(self) -> None:
        self._say_command()

    @property
    def values(self) -> dict[str, str]:
        return {field.name: self.query_one(f"#field-{index}", Input).value for index, field in enumerate(self.fields)}

    def on_input_changed(self) -> None:
        self._say_command()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == f"field-{len(self.fields) - 1}":
            self.action_submit()
        elif self.focused is event.input:  # and not gone on from by an enter before this one
            self.focus_next()

    def action_submit(self) -> None:
        values = self.values
        for index, field in enumerate(self.fields):
            wrong = None if field.check is None else field.check(values[field.name])
            if wrong:
                self.query_one("#trouble", Plain).say(f"{field.label}: {wrong}")
                self.query_one(f"#field-{index}", Input).focus()
                return
        self.dismiss(values)

    def _say_command(self) -> None:
        values = self.values
        self.query_one("#command", Plain).say(f"\n$ {self.ev.command_of(self.words(values))}")
        if self.preview is not None:
            self.query_one("#preview", Plain).say(f"\n{self.preview(values)}")
