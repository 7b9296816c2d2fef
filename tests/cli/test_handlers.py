"""ev consume -g G -- CMD: what becomes of each record is what the handler's exit status or answer says."""

from __future__ import annotations

import json
import pathlib
import shlex
import signal
import sys

import pytest

from support.command_line import CommandLine
from support.pipelines import committed, numbers_in, reader, total
from support.waiting import wait_for

QUICK = ("--backoff", "1ms..2ms")

ANSWERS = """\
import sys
seen = set()
for line in sys.stdin:
    value = line.strip()
    if value == "3" and value not in seen:
        print("retry", flush=True)
    elif value == "5":
        print("dead not a number that I like", flush=True)
    else:
        print("ok", flush=True)
    seen.add(value)
"""


@pytest.fixture
def ten(ev: CommandLine) -> CommandLine:
    """A topic t with the values 0 to 9, each with its number as its key and a header."""
    ev("produce", "t", "-K", ":", "-H", "h=1", data=b"".join(b"k%d:%d\n" % (number % 3, number) for number in range(10)))
    return ev


def headers_of(ev: CommandLine, topic: str) -> list[dict[str, str]]:
    lines = ev("consume", topic, "-e", "-J").lines
    return [dict(json.loads(line)["headers"]) for line in lines]


def test_one_process_for_each_record(ten: CommandLine) -> None:
    """The value on stdin as it is, the rest in the environment and in templates; all of it committed."""
    script = 'printf "%s %s %s %s %s\\n" "$EV_TOPIC/$EV_PARTITION@$EV_OFFSET" "$EV_KEY" "$EV_HEADERS_JSON" "$EV_ATTEMPT" "$(cat)"'
    found = ten("consume", "t", "-g", "a", "-n", "2", "--each", "--", "sh", "-c", script)
    assert found.lines == ['t/0@0 k0 [["h","1"]] 1 0', 't/0@1 k1 [["h","1"]] 1 1']
    assert committed(ten, "a") == {"t/0": 2}
    assert ten("consume", "t", "-g", "a", "-n", "1", "--each", "--", "echo", "{topic}", "v={}", "{key}", "{offset}").lines == ["t v=2 k2 2"]
    lines = ten("consume", "t", "-g", "a", "-e", "--each", "-J", "--", "cat").lines
    assert [json.loads(line)["offset"] for line in lines] == list(range(3, 10))
    assert committed(ten, "a") == {"t/0": 10}
    ten("consume", "t", "-g", "b", "-e", "--batch", "9", "--commit", "none", "--", "cat")
    assert committed(ten, "b") == {}


def test_what_fails_is_tried_again_and_then_ends_the_run(ten: CommandLine) -> None:
    """Status 7, the place, and exactly what was handled is committed."""
    done = ten("consume", "t", "-g", "a", "-e", "--each", *QUICK, "--", "sh", "-c", "test $EV_OFFSET -lt 6 || test $EV_ATTEMPT -ge 3")
    assert done.err == ""
    assert committed(ten, "a") == {"t/0": 10}
    done = ten("consume", "t", "-g", "b", "-e", "--each", *QUICK, "--retries", "2", "--", "sh", "-c", "test $(cat) -lt 6", status=7)
    assert "t/0@6" in done.err
    assert "in 3 attempts" in done.err
    assert committed(ten, "b") == {"t/0": 6}
    done = ten("consume", "t", "-g", "b", "-e", "--each", "--", "sh", "-c", "exit 65", status=7)
    assert "status 65" in done.err
    assert "attempts" not in done.err


def test_a_command_that_cannot_be_run(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """126 and 127, also when a shell says so; nothing is committed, put aside or skipped."""
    (tmp_path / "plain").write_text("no program")
    for kind in ((), ("--each",), ("--batch", "3"), ("--ack",)):
        ten("consume", "t", "-g", "g", "-e", *kind, "--", "no-such-program", status=127)
        ten("consume", "t", "-g", "g", "-e", *kind, "--", str(tmp_path / "plain"), status=126)
        ten("consume", "t", "-g", "g", "-e", *kind, "--", "sh", "-c", "no-such-program", status=127)
    ten("consume", "t", "-g", "g", "-e", "--each", "--on-fail", "skip", "--", "no-such-program", status=127)
    assert committed(ten, "g") == {}


def test_dead_letters_and_back(ten: CommandLine) -> None:
    """A batch is halved until the bad ones are found; they keep what they had, and say where they came from; redrive sends them back."""
    bad = ("sh", "-c", "! grep -q '[37]'")
    done = ten("consume", "t", "-g", "g", "-e", "--batch", "10", *QUICK, "--retries", "1", "--dlq", "dead", "--", *bad)
    assert "created topic dead" in done.err
    assert "2 records were put into dead" in done.err
    assert committed(ten, "g") == {"t/0": 10}
    assert ten("consume", "dead", "-e", "-K", ":").lines == ["k0:3", "k1:7"]
    first = headers_of(ten, "dead")[0]
    assert (first["h"], first["ev-dlq-topic"], first["ev-dlq-partition"], first["ev-dlq-offset"]) == ("1", "t", "0", "3")
    assert (first["ev-dlq-group"], first["ev-dlq-exit"]) == ("g", "1")
    assert "status 1" in first["ev-dlq-error"]

    assert ten("redrive", "dead", "--dry-run", "--json").json == [{"target": "t", "records": 2}]
    assert "1 records went back to t" in ten("redrive", "dead", "-n", "1").err
    assert "1 records went back to t" in ten("redrive", "dead").err
    assert "nothing of dead went back" in ten("redrive", "dead").err
    assert ten("consume", "t", "-o", "10", "-e", "-K", ":").lines == ["k0:3", "k1:7"]
    times = [json.loads(line)["timestamp"] for line in ten("consume", "t", "-e", "-J").lines]
    assert times[10:] == [times[3], times[7]]
    assert headers_of(ten, "t")[10] == {"h": "1", "ev-replay-count": "1"}

    for _ in range(2):
        ten("consume", "t", "-g", "g", "-e", "--each", "--retries", "0", "--dlq", "dead", "--", *bad)
        ten("redrive", "dead")
    ten("consume", "t", "-g", "g", "-e", "--each", "--retries", "0", "--dlq", "dead", "--", *bad)
    held = ten("redrive", "dead", status=6)
    assert "2 records are held back in dead: it was replayed 3 times" in held.err
    assert headers_of(ten, "dead")[-1]["ev-replay-count"] == "3"

    ten("produce", "plain", data=b"x\n")
    assert "no header ev-dlq-topic" in ten("redrive", "plain", status=6).err
    ten("group", "delete", "redrive.plain", "-y")
    assert "'t'" in ten("redrive", "plain", "--to", "tt", status=3).err
    ten("redrive", "plain", "--to", "t")
    assert ten("consume", "t", "-o", "-1", "-e").lines == ["x"]
    ten("redrive", "nothere", status=3)


def test_skipping_says_so(ten: CommandLine) -> None:
    """--on-fail skip; 65 is not tried again."""
    done = ten("consume", "t", "-g", "g", "-e", "--each", "--on-fail", "skip", "--", "sh", "-c", "test $EV_OFFSET != 4 || exit 65")
    assert "t/0@4: skipped" in done.err
    assert "1 records were skipped" in done.err
    assert committed(ten, "g") == {"t/0": 10}


def test_what_takes_too_long_is_killed(ten: CommandLine) -> None:
    """And counts as failed."""
    done = ten(
        "consume",
        "t",
        "-g",
        "g",
        "-n",
        "1",
        "--each",
        "--exec-timeout",
        "200ms",
        "--retries",
        "0",
        "--",
        "sleep",
        "60",
        status=7,
        timeout_s=20,
    )
    assert "longer than 0.2 s" in done.err


def test_many_at_once_keep_the_order_of_each_key(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Over partitions, with some that fail the first time; everything is handled once and committed."""
    ev("topic", "create", "t", "-p", "3")
    ev("produce", "t", "-K", ":", data=b"".join(b"%d:%d\n" % (number % 7, number) for number in range(60)))
    script = 'read -r v; test $((v % 10)) != 4 || test $EV_ATTEMPT = 2 || exit 75; echo "$EV_KEY $v" >>handled'
    ev.shell(f"ev consume t -g g -e --each --parallel 4 --backoff 1ms..20ms -- sh -c {shlex.quote(script)}")
    rows = [line.split() for line in (tmp_path / "handled").read_text().splitlines()]
    assert sorted(int(value) for _, value in rows) == list(range(60))
    for key in {key for key, _ in rows}:
        values = [int(value) for found, value in rows if found == key]
        assert values == sorted(values)
    assert total(ev, "g") == 60


def test_one_process_for_everything(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """Its end settles the tail; when it dies it is started again with what it had not handled, and after too many times given up."""
    assert ten("consume", "t", "-g", "a", "-e", "--", "wc", "-l").out.split() == [b"10"]
    assert committed(ten, "a") == {"t/0": 10}
    assert ten("consume", "t", "-g", "a", "-e", "--", "wc", "-l").out.split() == [b"0"]

    dies_once = (
        f"test $EV_ATTEMPT -gt 1 || exec {shlex.join(reader(tmp_path, 'handled', most=4))}; exec {shlex.join(reader(tmp_path, 'handled'))}"
    )
    done = ten("consume", "t", "-g", "b", "-e", *QUICK, "--", "sh", "-c", dies_once)
    assert "handed over again" in done.err
    assert sorted(set(numbers_in(tmp_path / "handled"))) == list(range(10))
    assert committed(ten, "b") == {"t/0": 10}

    done = ten("consume", "t", "-g", "c", "-e", *QUICK, "--retries", "2", "--", "sh", "-c", "read -r x; exit 1", status=7)
    assert "3 times in a row" in done.err
    assert total(ten, "c") <= 10

    done = ten("consume", "t", "-g", "d", "--", "head", "-n", "3")
    assert done.lines == ["0", "1", "2"]
    assert "not committed" in done.err
    assert total(ten, "d") == 0


def test_answers_say_what_became_of_each_record(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """ok, retry, dead REASON; a process that dies is given what it has not answered once more."""
    (tmp_path / "answers.py").write_text(ANSWERS)
    command = (sys.executable, "-I", "-S", str(tmp_path / "answers.py"))
    done = ten("consume", "t", "-g", "a", "-e", "--ack", *QUICK, "--dlq", "dead", "--", *command)
    assert "1 records were put into dead" in done.err
    assert headers_of(ten, "dead")[0]["ev-dlq-error"] == "not a number that I like"
    assert committed(ten, "a") == {"t/0": 10}

    done = ten("consume", "t", "-g", "b", "-e", "--ack", *QUICK, "--", *command, status=7)
    assert "t/0@5: not a number" in done.err
    assert total(ten, "b") <= 5
    dies = "for x in 1 2 3; do read -r v && echo ok; done; test $EV_ATTEMPT -gt 1 && while read -r v; do echo ok; done"
    done = ten("consume", "t", "-g", "c", "-e", "--ack", *QUICK, "--", "sh", "-c", dies)
    assert "without an answer" in done.err
    assert committed(ten, "c") == {"t/0": 10}
    assert "ok, retry or dead" in ten("consume", "t", "-g", "d", "-e", "--ack", "--", "cat", status=7).err


def test_the_first_ctrl_c_lets_the_handler_finish(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """What it has done is committed; the second one ends it, too."""
    running = ten.start(
        "consume", "t", "-g", "a", "--each", "--", "sh", "-c", f"echo begun; while test ! -e {tmp_path}/go; do sleep 0.02; done"
    )
    running.wait_for(b"begun")
    running.signal(signal.SIGINT)
    (tmp_path / "go").touch()
    done = running.end()
    assert (done.status, done.out) == (130, b"begun\n")
    assert "9 records that were read are not handled" in done.err
    assert committed(ten, "a") == {"t/0": 1}

    running = ten.start("consume", "t", "-g", "b", "--", "sh", "-c", f"echo $$ >{tmp_path}/pid; cat; touch {tmp_path}/end; exec sleep 60")
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the handler")
    handler = int((tmp_path / "pid").read_text())
    running.signal(signal.SIGTERM)
    wait_for(lambda: (tmp_path / "end").exists(), "the end of its input")
    assert _still_runs(handler)
    running.signal(signal.SIGTERM)
    assert running.process.wait(20) == -signal.SIGTERM
    wait_for(lambda: not _still_runs(handler), "the handler to end")


def _still_runs(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_slow_handler_keeps_its_place(ev: CommandLine) -> None:
    """Heartbeats go on while it works, longer than a session lasts."""
    ev.variables["EV_GROUP_MIN_SESSION_TIMEOUT_MS"] = "1000"
    ev("produce", "t", data=b"a\nb\n")
    done = ev("consume", "t", "-g", "g", "-e", "-X", "session.timeout.ms=1200", "--each", "--", "sleep", "1.8")
    assert done.err == ""
    assert committed(ev, "g") == {"t/0": 2}


def test_a_handler_that_does_not_get_on_leaves_the_group(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """After --max-stall, and joins it again when it goes on; nothing of before is committed, everything is handled."""
    script = f"test -e {tmp_path}/slow || {{ touch {tmp_path}/slow; sleep 1.5; }}; cat >>{tmp_path}/handled"
    done = ten(
        "consume", "t", "-g", "g", "-n", "10", "--idle", "5s", "--each", "-f", "%v\\n", "--max-stall", "500ms", "--", "sh", "-c", script
    )
    assert "leaving the group" in done.err
    assert "joining the group again" in done.err
    assert sorted(set(numbers_in(tmp_path / "handled"))) == list(range(10))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--each",), "handler"),
        (("--order", "key"), "handler"),
        (("--each", "--ack", "--", "x"), "--ack"),
        (("--batch", "0", "--", "x"), "--batch"),
        (("--parallel", "2", "--", "x"), "--parallel"),
        (("--on-fail", "dlq", "--", "x"), "--dlq"),
        (("--on-fail", "skip", "--", "x"), "--each"),
        (("--on-fail", "explode", "--each", "--", "x"), "explode"),
        (("--dlq", "t", "--each", "--", "x"), "t is read"),
        (("--backoff", "9s..1s", "--each", "--", "x"), "--backoff"),
        (("--buffer", "lots", "--", "x"), "--buffer"),
        (("--commit", "written", "--", "x"), "--commit"),
        (("--each", "--", "sh", "-c", "echo {}"), "EV_KEY"),
        (("--into", "f"), "-g"),
        (("--commit", "proven", "--into", "f"), "-g"),
    ],
)
def test_mistakes_are_told_before_anything_is_started(ev: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    """One line, exit 2, no engine."""
    done = ev("consume", "t", "-g", "g", *arguments, status=2)
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not ev.data_dir.exists()
