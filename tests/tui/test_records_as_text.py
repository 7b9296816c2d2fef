"""Records as text: what is shown of bytes, what is copied, what differs, and the commands that do the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.wire.records import encode_batch
from ev_cli import __main__ as start
from ev_cli.failures import Failure
from ev_tui.harmless import safe
from ev_tui.records import saved_filters
from ev_tui.records.differences import differences
from ev_tui.records.forms import as_json, get_words, link_of, produce_words, resend_words
from ev_tui.records.ring import Origin, Row
from ev_tui.records.shown import dump, line_of, whole
from ev_tui.screens.produce import edited
from ev_tui.spelling import command_line
from tui.test_ring import as_fetched

HOSTILE = b"\x1b]0;title\x07\x1b[31m\x9b\xe2\x80\xae\r\n\t\x7f"


def row(value: bytes | None, key: bytes | None = None, headers: tuple[tuple[str, bytes | None], ...] = (), topic: str = "t") -> Row:
    data = encode_batch([value], keys=[key], headers=[headers], timestamps=1_790_000_000_000)
    origin = Origin(as_fetched(data, 3, -1, 0))
    origin.topic = topic
    return Row(0, origin, 7, 1_790_000_000_000, key, value, headers)


@pytest.mark.parametrize(
    ("data", "kind", "shown"),
    [
        (None, "null", "null"),
        (b"", "null", "(empty)"),
        (b"plain", "text", "plain"),
        (b"two\nlines", "text", "two\\nlines"),
        ("naïve 漢字".encode(), "text", "naïve 漢字"),
        (b"\xff\xfe", "bytes", "0xfffe"),
        (b"a\x00b", "bytes", "0x610062"),
        (b"\x00\x00\x00\x00\x29\x02\xff", "bytes", "schema 41 0x000000002902ff"),
        ("é".encode() * 5000, "text", "é" * 2048),
    ],
)
def test_a_line_says_what_bytes_are(data: bytes | None, kind: str, shown: str) -> None:
    """Text where it is text, even cut in the middle of a character; else bytes, with the schema that they seem to have."""
    text, found = line_of(data)
    assert found == kind
    assert text.startswith(shown) if len(shown) > 100 else text == shown


@given(st.binary(max_size=300))
def test_no_bytes_reach_the_screen_as_anything_but_text(data: bytes) -> None:
    """Whatever a record holds, every line of it is one that a terminal only shows."""
    for line in [line_of(data)[0], *whole(data).lines, *dump(data)]:
        assert safe(line) == line
        assert line.isprintable()


def test_the_ladder_of_decoding_is_said() -> None:
    """What was tried, in order; JSON is laid out, other text is left as it is."""
    assert whole(b'{"a":[1]}').lines == ["{", '  "a": [', "    1", "  ]", "}"]
    assert whole(b'{"a":[1]}').tried == "UTF-8 ✓ · JSON ✓"
    assert whole(b"a\nb") == ("text", ["a", "b"], "UTF-8 ✓ · JSON ✗ · shown as text")
    assert whole(b"\x00\x00\x00\x00\x29\xff").tried.startswith("UTF-8 ✗ at byte 5 · schema id 41 ✓")
    assert whole(b"[" * 100_000).kind == "text", "nesting that no parser takes is text"
    assert whole(None).lines == ["null"]


def test_what_differs_is_named_by_its_path() -> None:
    """Fields of JSON one by one, headers and key too; the same ones are known to be the same."""
    found = differences(
        row(b'{"id":1,"items":[{"sku":"A"}],"gone":true}', b"k1", (("h", b"1"),)),
        row(b'{"id":2,"items":[{"sku":"A"}],"new":null}', b"k2", (("h", b"1"),)),
    )
    assert {(one.name, one.old, one.new) for one in found if not one.is_same} == {
        ("key", "k1", "k2"),
        ("id", "1", "2"),
        ("gone", "true", None),
        ("new", None, "null"),
    }
    assert {one.name for one in found if one.is_same} == {"time", "header h", "items[0].sku"}
    lines = differences(row(b"a\nb\nc"), row(b"a\nx\nc"))
    assert [(one.old, one.new) for one in lines if not one.is_same] == [("b", None), (None, "x")]


def test_json_is_what_consume_writes() -> None:
    """Text as text, other bytes as base64, null as null."""
    found = json.loads(as_json(row(b"\xff", None, (("a", b"\xfe"), ("b", None)))))
    assert found == {
        "topic": "t",
        "partition": 3,
        "offset": 7,
        "timestamp": 1_790_000_000_000,
        "timestamp_type": "create",
        "key": None,
        "value_b64": "/w==",
        "headers": [["a", {"b64": "/g=="}], ["b", None]],
    }
    assert link_of("prod", row(b"x")) == "ev://prod/t/3/7"


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(WORDS, WORDS, WORDS)
def test_the_command_of_a_record_means_that_record(key: str, value: str, header: str) -> None:
    """ev's own parser reads back what is shown: quotes, spaces, line ends, and what looks like an option."""
    table = start.table_of("produce")
    assert table is not None
    (command,) = table.values()
    words = produce_words("-odd", key, value, [("h", header)], partition=3)
    assert words is not None
    given_options = start.parse(command, words[1:])
    assert given_options is not None
    assert given_options["topic_option"] == "-odd"
    assert (given_options["key"], given_options["value"], given_options["partition"]) == (key, value, 3)
    assert given_options["headers"] == [f"h={header}"]


def test_a_shell_hands_over_every_word_as_it_is() -> None:
    """Through bash, for a record with everything in it that a shell would take for its own."""
    words = produce_words("t", "it's", 'a "b" $(c) `d`\n\t\\ * ; é \x1b[0m', [("h", "x y")])
    assert words is not None
    script = command_line(words).replace("ev ", f"{sys.executable} -c 'import sys; print(ascii(sys.argv[1:]))' ", 1)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(words)


def test_what_cannot_stand_on_a_command_line_has_no_command() -> None:
    """Zero bytes, and names of headers that would be cut; other bytes have one."""
    assert resend_words(row(b"\xff", None, (("h", None),))) == ["produce", "t", "--value=\udcff", "--header=h"]
    assert resend_words(row(b"a\0b")) is None
    assert resend_words(row(b"v", None, (("a=b", b"c"),))) is None
    assert resend_words(row(b"v", b"k")) == ["produce", "t", "--key=k", "--value=v"]
    assert resend_words(row(None, b"k")) == ["produce", "t", "--key=k", "--value=", "--empty-is-null"]
    assert get_words(("-odd", 0, 1), is_transactional=True) == ["get", "--read-uncommitted", "--", "-odd/0/1"]


def test_saved_filters_are_a_file_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """They come back as they were; a file that means nothing is said to, and not written over."""
    path = str(tmp_path_factory.mktemp("filters") / "deep" / "filters.toml")
    assert saved_filters.read(path) == {}
    saved_filters.write(path, {"big one": "value.a > 1", "ä": "key ~ '^\"'"})
    assert saved_filters.read(path) == {"big one": "value.a > 1", "ä": "key ~ '^\"'"}
    with open(path, "w") as file:
        file.write("filters = ")
    with pytest.raises(Failure, match="cannot read the saved filters"):
        saved_filters.read(path)
    assert saved_filters.joined(["a == 1 or b == 2", "c"]) == "(a == 1 or b == 2) and (c)"


def test_an_editor_gives_the_value_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the line end that editors add; one that fails changes nothing."""
    monkeypatch.setenv("VISUAL", "sed -i -e s/one/two/ -e '$a\\'")
    assert edited("one\nline") == "two\nline"
    assert edited('{"a": "one"}') == '{"a": "two"}'
    for wrong in ("false", "no-such-editor-here"):
        monkeypatch.setenv("VISUAL", wrong)
        with pytest.raises(Failure):
            edited("one")
