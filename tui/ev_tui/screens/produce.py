"""Produce: one record, from a form, from another record, or from an editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widgets import Input, TextArea

from ev_cli.failures import Failure
from ev_cli.protection import WRITES
from ev_cli.records_in import header
from ev_tui.harmless import safe
from ev_tui.records.forms import produce_words
from ev_tui.widgets.dialog import Dialog
from ev_tui.widgets.line import Said
from ev_tui.widgets.plain import Plain

if TYPE_CHECKING:
    from ev_cli.session import Session
    from ev_tui.app import EvApp
    from ev_tui.records.ring import Row

NO_VALUE = "null: a tombstone"


class Draft:
    """What is to be sent."""

    def __init__(self, topic: str, row: Row | None = None) -> None:
        self.topic = topic
        self.key = "" if row is None or row.key is None else row.key.decode("utf-8", "surrogateescape")
        self.has_key = row is not None and row.key is not None
        self.value = "" if row is None or row.value is None else row.value.decode("utf-8", "surrogateescape")
        self.is_null = row is not None and row.value is None
        self.headers = [] if row is None else [(name, data) for name, data in row.headers]
        self.partition: int | None = None

    def words(self) -> list[str] | None:
        """The command that sends it, where a command line can say it."""
        headers = [(name, None if data is None else data.decode("utf-8", "surrogateescape")) for name, data in self.headers]
        return produce_words(self.topic, self.key if self.has_key else None, None if self.is_null else self.value, headers, self.partition)

    def send(self, session: Session) -> str:
        """Send it and wait until it is safe; where it is now."""
        with session.producer(request_timeout_ms=session.timeout_ms, metadata_timeout_ms=session.timeout_ms) as producer:
            producer.produce(
                self.topic,
                None if self.is_null else os.fsencode(self.value),
                os.fsencode(self.key) if self.has_key else None,
                headers=self.headers,
                partition=self.partition,
            )
            producer.flush(session.timeout_ms)
            for delivery in producer.poll():
                if delivery.error is not None:
                    raise delivery.error
                return f"sent: {self.topic}/{delivery.partition}/{delivery.base_offset}"
        raise Failure(f"{self.topic} did not acknowledge the record in time", "it may be there all the same: look before you send it again")


def produce(app: EvApp, topic: str, row: Row | None = None) -> None:
    """Ask for a record, beginning with that of `row`, and send it."""
    if not app.may(WRITES):
        return

    def send(draft: Draft | None) -> None:
        if draft is not None:
            app.change(draft.words() or ["produce", topic], WRITES, draft.send)

    app.push_screen(ProduceDialog(topic, row), send)


class ProduceDialog(Dialog[Draft]):
    """Key, value, headers, partition. Gives the draft when it shall be sent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f10,ctrl+s", "send", "send", id="produce.send"),
        Binding("f4", "edit", "editor", id="produce.edit"),
        Binding("f8", "null", "null value", id="produce.null"),
    ]
    DEFAULT_CSS = """
    ProduceDialog TextArea { height: 8; border: none; background: $panel; padding: 0 1; }
    ProduceDialog.-short TextArea { height: 4; }
    ProduceDialog #command { max-height: 4; }
    """

    def __init__(self, topic: str, row: Row | None = None) -> None:
        super().__init__(f"produce to {topic}")
        self.draft = Draft(topic, row)
        self._is_text = self._can_be_edited(self.draft.value)

    @staticmethod
    def _can_be_edited(text: str) -> bool:
        """Bytes that are no text are sent as they are."""
        return not any("\udc80" <= character <= "\udcff" or character == "\0" for character in text)

    def inside(self) -> ComposeResult:
        draft = self.draft
        headers = ", ".join(f"{name}={(data or b'').decode('utf-8', 'backslashreplace')}" for name, data in draft.headers)
        yield Said(("key", "accent"), ("   empty: none", "dim"))
        yield Input(value=safe(draft.key), id="key")
        yield Said(("value", "accent"), id="value-label")
        if self._is_text:
            yield TextArea(draft.value, id="value", tab_behavior="focus")
        else:
            yield Plain(f"{len(os.fsencode(draft.value)):,} bytes that are no text: they are sent as they are")
        yield Said(("headers", "accent"), ("   name=value, name=value", "dim"))
        yield Input(value=safe(headers), id="headers")
        yield Said(("partition", "accent"), ("   empty: by the key", "dim"))
        yield Input(id="partition")
        yield Plain("", id="command")
        yield Plain("", id="trouble")
        keys = (("f10", "send"), ("f4", "edit the value in $EDITOR"), ("f8", "null value"), ("esc", "cancel"))
        yield Said(*[piece for key, text in keys for piece in ((key, "key"), (f" {text}   ", "dim"))])

    def on_mount(self) -> None:
        self.query_one("#key", Input).focus()
        self._look()

    def on_input_changed(self) -> None:
        self._look()

    def on_text_area_changed(self) -> None:
        self._look()

    def on_input_submitted(self) -> None:
        self.focus_next()

    def _look(self) -> str | None:
        """Take what the form says; what is wrong with it."""
        draft = self.draft
        key = self.query_one("#key", Input).value
        if key != safe(draft.key):
            draft.key = key
            draft.has_key = bool(key)
        for area in self.query(TextArea):
            draft.value = area.text
        wrong = self._take_headers() or self._take_partition()
        state = NO_VALUE if draft.is_null else f"{len(os.fsencode(draft.value)):,} bytes"
        self.query_one("#value-label", Said).say(("value", "accent"), (f"   {state}", "warn" if draft.is_null else "dim"))
        words = draft.words()
        command = "no command line can say this record" if words is None else f"$ {self.ev.command_of(words)}"
        self.query_one("#command", Plain).say(command)
        self.query_one("#trouble", Plain).say(wrong or "")
        return wrong

    def _take_headers(self) -> str | None:
        text = self.query_one("#headers", Input).value
        shown = safe(", ".join(f"{name}={(data or b'').decode('utf-8', 'backslashreplace')}" for name, data in self.draft.headers))
        if text == shown:
            return None
        found = [header(part.strip()) for part in text.split(",") if part.strip()]
        if any(not name for name, _ in found):
            return "a header has a name: name=value"
        self.draft.headers = found
        return None

    def _take_partition(self) -> str | None:
        text = self.query_one("#partition", Input).value.strip()
        if text and not text.isdecimal():
            return f"{text} is no partition: a number from 0 on"
        self.draft.partition = int(text) if text else None
        return None

    def action_null(self) -> None:
        self.draft.is_null = not self.draft.is_null
        self._look()

    def action_send(self) -> None:
        if self._look() is None:
            self.dismiss(self.draft)

    def action_edit(self) -> None:
        """The value in the person's editor; when that ends well, what it left is the value."""
        if not self._is_text:
            return
        try:
            with self.ev.outside():
                text = edited(self.draft.value)
        except SuspendNotSupported:
            self.ev.tell("this terminal cannot be lent to an editor", "warning")
            return
        except Failure as failure:
            self.ev.tell(failure.line(), "error")
            return
        self.query_one(TextArea).text = text
        self.refresh()


def edited(text: str) -> str:
    """What an editor makes of the text. A line end that the editor adds is not part of it."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.NamedTemporaryFile(
        "w", suffix=".json" if text[:1] in "{[" else ".txt", delete=False, encoding="utf-8", newline=""
    ) as file:
        file.write(text)
    try:
        done = subprocess.run([*command, file.name])
        if done.returncode:
            raise Failure(f"{command[0]} ended with status {done.returncode}: the value is as it was")
        with open(file.name, encoding="utf-8", newline="") as again:
            found = again.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"the value was not edited by {command[0]}: {error}", "EDITOR names an editor") from None
    finally:
        os.unlink(file.name)
    return found.removesuffix("\n") if not text.endswith("\n") else found
