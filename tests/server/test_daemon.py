"""The daemon as a process: how it starts, what it says about itself, how it ends, and what it never does."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ev import __version__
from ev.log.checkpoint import FORMAT, State
from ev.wire.codec import encode
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ev.wire.records import encode_batch
from support.engine import SOURCES, Engine, NotReadyError, environment, read_line
from support.raw_client import RawClient
from support.waiting import wait_for

StartEngine = Callable[..., Engine]


def facts(engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((engine.directory / "engine.json").read_text())
    return found


def produce(client: RawClient, topic: str = "t", value: bytes = b"v") -> int:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=encode_batch([value]))])
    (answer,) = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data])).responses[0].partition_responses
    assert answer.error_code == 0
    offset: int = answer.base_offset
    return offset


def make_topic(client: RawClient, topic: str = "t") -> None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=True)
    assert client.ask(3, 9, request).topics[0].error_code == 0


# What it says about itself


def test_it_says_where_it_listens(engine: Engine) -> None:
    """engine.json in the data directory has the address, the process and the cluster; the spawner got the address too."""
    found = facts(engine)
    assert found["address"] == engine.address
    assert found["pid"] == engine.pid
    assert found["version"] == __version__
    assert found["data_dir"] == str(engine.directory)
    assert found["log_file"] is None
    assert abs(found["started_ms"] - 1000 * time.time()) < 60_000
    with RawClient(engine.address) as client:
        assert client.ask(3, 9, MetadataRequest(topics=[])).cluster_id == found["cluster_id"]


def test_a_clean_end_leaves_no_address_behind(engine: Engine) -> None:
    """And the exit status is 0, within seconds, with clients still connected."""
    with RawClient(engine.address) as client:
        make_topic(client)
        produce(client)
        begin = time.monotonic()
        assert engine.stop() == 0
        assert time.monotonic() - begin < 10
        assert client.closed()
    assert not (engine.directory / "engine.json").exists()
    assert (engine.directory / ".kafka_cleanshutdown").exists()
    assert "closed; the loop's longest stall was" in engine.log()


def test_its_files_are_its_owners_alone(engine: Engine) -> None:
    """Whatever umask it was started with."""
    with RawClient(engine.address) as client:
        make_topic(client)
        produce(client)
    paths = [engine.directory, *engine.directory.rglob("*")]
    assert [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_everything_is_there_again(engine: Engine, number: signal.Signals) -> None:
    """Also one that comes with requests in flight: what was answered is kept."""
    with RawClient(engine.address) as client:
        make_topic(client)
        for _ in range(10):
            last = produce(client)
    assert engine.signal_and_wait(number, 10) == 0
    engine.start()
    with RawClient(engine.address) as client:
        assert produce(client) == last + 1


def test_requests_in_flight_at_the_signal_are_answered_or_their_connection_closes(engine: Engine) -> None:
    """Never a wrong answer; and what was answered is there after the restart."""
    acknowledged = -1
    with RawClient(engine.address) as client:
        make_topic(client)
        data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([b"v"]))])
        request = ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data])
        client.send(b"".join(client.frame(0, 9, request) for _ in range(500)))
        os.kill(engine.pid, signal.SIGTERM)
        try:
            while True:
                acknowledged = client.answer(0, 9).responses[0].partition_responses[0].base_offset
        except ConnectionError:
            pass
    assert engine.wait() == 0
    engine.start()
    with RawClient(engine.address) as client:
        assert produce(client) > acknowledged


# What it refuses


def failed_start(directory: pathlib.Path, *arguments: str) -> tuple[int, str]:
    """The exit status of a daemon that does not start, and the line that its spawner got."""
    reader, writer = os.pipe()
    command = [sys.executable, "-P", "-m", "ev.server.daemon", "--data-dir", str(directory), "--ready-fd", str(writer), *arguments]
    with subprocess.Popen(command, pass_fds=(writer,), env=environment(), stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        line = read_line(reader, 30)
        os.close(reader)
        _, said = process.communicate(timeout=30)
    assert "Traceback" not in said
    return process.returncode, line


def test_one_engine_per_data_directory(engine: Engine) -> None:
    """The second one says who has it and goes; the first does not notice."""
    assert failed_start(engine.directory, "--listen", "127.0.0.1:0") == (1, f"failed 1 locked {engine.pid}\n")
    with RawClient(engine.address) as client:
        assert client.ask(18, 0, ApiVersionsRequest()).error_code == 0


def test_a_port_that_an_engine_has_is_named_with_its_data_directory(engine: Engine) -> None:
    """Exit 4, and what to do."""
    status, words = failed_start(engine.directory.with_name("other"), "--listen", engine.address)
    assert status == 4
    assert "failed 4 " in words
    assert f"ev engine with the data directory {engine.directory} answers at {engine.address}" in words


def test_a_port_that_something_else_has_is_named_so(tmp_path: pathlib.Path) -> None:
    """A web server, or a socket that never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        status, words = failed_start(tmp_path / "other", "--listen", address)
    assert status == 4
    assert f"{address} is taken by something" in words
    assert "that is no Kafka" in words


def test_a_port_that_a_kafka_has_is_named_so(tmp_path: pathlib.Path, engine: Engine) -> None:
    """Whatever answers as Kafka does and is no engine of ours; here one whose DescribeConfigs is closed by a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as front:
        address = f"127.0.0.1:{front.getsockname()[1]}"
        thread = threading.Thread(target=answer_as_kafka, args=(front, engine), daemon=True)
        thread.start()
        status, words = failed_start(tmp_path / "other", "--listen", address)
        thread.join(10)
    assert status == 4
    assert f"a Kafka answers at {address}" in words


def answer_as_kafka(front: socket.socket, engine: Engine) -> None:
    """Pass requests on to the engine, with the name of its own setting changed in the question."""
    connection, _ = front.accept()
    with connection, engine.connect() as behind:
        while head := connection.recv(4):
            body = connection.recv(int.from_bytes(head, "big"))
            behind.sendall(head + body.replace(b"ev.durability", b"no.durability"))
            size = behind.recv(4)
            answer = b""
            while len(answer) < int.from_bytes(size, "big"):
                answer += behind.recv(1 << 16)
            connection.sendall(size + answer)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "log.segment.bytes=1GB"], "expected a whole number"),
        (["--set", "log.segment.byte=1048576"], "did you mean log.segment.bytes"),
        (["--set", "whatever"], "expected NAME=VALUE"),
        (["--advertise", "9092"], "expected HOST:PORT"),
        (["--advertise", "a:1", "--advertise", "b:2"], "give one, or one for each"),
    ],
)
def test_a_wrong_option_ends_the_start_with_one_line(tmp_path: pathlib.Path, arguments: list[str], words: str) -> None:
    """It says what was expected; there is no traceback."""
    status, line = failed_start(tmp_path / "data", *arguments)
    assert status == 1
    assert line.startswith("failed 1 ")
    assert words in line


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "203.0.113.7:9092"])
def test_where_others_reach_it_nothing_is_made_and_nothing_bound(tmp_path: pathlib.Path, address: str) -> None:
    """ev has no authentication: the refusal says what happened, why, and what to do; not even the log file is there afterwards."""
    log_file = tmp_path / "logs" / "server.log"
    status, line = failed_start(tmp_path / "data", "--listen", "127.0.0.1:0", "--listen", address, "--log-file", str(log_file))
    assert status == 2
    assert line.startswith("failed 2 refused to listen on ")
    for words in (address.rpartition(":")[0].strip("[]"), "no authentication", "127.0.0.1", "tunnel", "--insecure"):
        assert words in line
    assert list(tmp_path.iterdir()) == []


def test_insecure_listens_where_others_reach_it_and_warns(start_engine: StartEngine) -> None:
    """Who says so gets it, and a line in the log."""
    engine = start_engine(listen="0.0.0.0:0", arguments=["--insecure"])
    assert "whoever reaches this address may read and write everything" in engine.log()


def test_a_data_directory_of_a_newer_version_is_left_alone(engine: Engine) -> None:
    """It is refused with a line that says so, and nothing in it is touched."""
    engine.stop()
    path = engine.directory / "ev.state"
    newer = State(FORMAT + 1, 7).encode()
    path.write_bytes(newer)
    with pytest.raises(NotReadyError, match=r"failed 1 .*newer"):
        engine.start()
    assert path.read_bytes() == newer


@pytest.mark.root
def test_a_data_directory_of_somebody_else_is_refused(tmp_path: pathlib.Path) -> None:
    """Under sudo too: its files would change their owner one by one."""
    directory = tmp_path / "data"
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    status, line = failed_start(directory, "--listen", "127.0.0.1:0")
    assert status == 1
    assert "belongs to user 12345" in line
    assert list(directory.iterdir()) == []


# How it treats its process


def daemon_command(directory: pathlib.Path, ready_fd: int, *arguments: str) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", "ev.server.daemon", "--data-dir", str(directory)),
        *("--listen", "127.0.0.1:0", "--ready-fd", str(ready_fd), *arguments),
    ]


class Detached:
    """A daemon with a log file, started from a shell that closes the standard descriptors first."""

    def __init__(
        self, directory: pathlib.Path, *arguments: str, shell: str = 'exec "$@" <&- >&- 2>&-', cwd: pathlib.Path | None = None
    ) -> None:
        self.directory = directory
        self.log_path = directory.with_name("ev.log")
        reader, writer = os.pipe()
        command = daemon_command(directory, writer, "--log-file", str(self.log_path), *arguments)
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", shell, "sh", *command], pass_fds=(writer,), env=environment(), cwd=cwd or directory.parent
        )
        os.close(writer)
        words = read_line(reader, 30).split()
        os.close(reader)
        assert words[:1] == ["ready"], (words, self.log_path.read_text())
        self.address = words[1]

    def __enter__(self) -> Detached:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


def descriptors(pid: int) -> dict[int, str]:
    folder = f"/proc/{pid}/fd"
    found = {}
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed since
            found[int(name)] = os.readlink(f"{folder}/{name}")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_started_with_closed_descriptors_it_never_logs_into_a_segment(tmp_path: pathlib.Path) -> None:
    """0, 1 and 2 are the null device, so no file of the engine can get their numbers; the log goes to its file."""
    with Detached(tmp_path / "data") as daemon:
        with RawClient(daemon.address) as client:
            make_topic(client)
            produce(client)
            client.send(b"\xff\xff\xff\xff")
            assert client.closed()
        opened = descriptors(daemon.process.pid)
        assert [opened[number] for number in (0, 1, 2)] == ["/dev/null"] * 3
        wait_for(lambda: "closed: " in daemon.log_path.read_text(), "the line in the log")
        assert all(b"closed: " not in path.read_bytes() for path in daemon.directory.rglob("*") if path.is_file())
        assert json.loads((daemon.directory / "engine.json").read_text())["log_file"] == str(daemon.log_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_in_the_foreground_too_closed_descriptors_are_filled(tmp_path: pathlib.Path) -> None:
    """`ev server run >&- 2>&-` must not let a log line go where a segment is."""
    directory = tmp_path / "data"
    reader, writer = os.pipe()
    shell = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *daemon_command(directory, writer)]
    with subprocess.Popen(shell, pass_fds=(writer,), env=environment()) as process:
        os.close(writer)
        assert read_line(reader, 30).startswith("ready")
        os.close(reader)
        opened = descriptors(process.pid)
        assert [opened[number] for number in (0, 1, 2)] == ["/dev/null"] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_detached_daemon_keeps_nothing_that_it_inherited(tmp_path: pathlib.Path) -> None:
    """No directory that could not be unmounted, no pipe that would keep `$(…)` waiting, no terminal, no open file of the caller."""
    shell = 'exec 7</etc/passwd 9>"$0.other"; exec "$@"'
    with Detached(tmp_path / "data", shell=shell.replace("$0", str(tmp_path / "x"))) as daemon:
        pid = daemon.process.pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert not [target for target in descriptors(pid).values() if "passwd" in target or "x.other" in target]
        assert os.getsid(pid) == pid
        assert "Umask:\t0077" in pathlib.Path(f"/proc/{pid}/status").read_text()


def test_modules_in_the_working_directory_change_nothing(tmp_path: pathlib.Path) -> None:
    """A socket.py beside the data is data, not code."""
    (tmp_path / "socket.py").write_text("raise SystemExit('taken over')\n")
    (tmp_path / "ev").mkdir()
    with Detached(tmp_path / "data", cwd=tmp_path) as daemon, RawClient(daemon.address) as client:
        assert client.ask(18, 0, ApiVersionsRequest()).error_code == 0


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: pathlib.Path) -> None:
    """The log file's place is taken by a directory; the engine starts, serves and ends cleanly all the same."""
    (tmp_path / "ev.log").mkdir()
    (tmp_path / "ev.log.1").mkdir()
    reader, writer = os.pipe()
    command = daemon_command(tmp_path / "data", writer, "--log-file", str(tmp_path / "ev.log"))
    with subprocess.Popen(command, pass_fds=(writer,), env=environment()) as process:
        os.close(writer)
        line = read_line(reader, 30)
        os.close(reader)
        assert line.startswith("ready")
        with RawClient(line.split()[1]) as client:
            make_topic(client)
            assert produce(client) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_relative_data_directory_is_meant_from_where_it_was_started(tmp_path: pathlib.Path) -> None:
    """Though the daemon itself goes to /."""
    reader, writer = os.pipe()
    command = daemon_command(pathlib.Path("here"), writer)
    with subprocess.Popen(command, pass_fds=(writer,), env=environment(), cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        os.close(writer)
        assert read_line(reader, 30).startswith("ready")
        os.close(reader)
        assert (tmp_path / "here" / "engine.json").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_an_ephemeral_engine_takes_its_directory_with_it(start_engine: StartEngine) -> None:
    """And refuses one that is not empty."""
    engine = start_engine(arguments=["--ephemeral"])
    with RawClient(engine.address) as client:
        make_topic(client)
        produce(client)
    assert engine.stop() == 0
    assert not engine.directory.exists()
    engine.directory.mkdir()
    (engine.directory / "mine.txt").write_text("keep me")
    with pytest.raises(NotReadyError, match=r"failed 1 .*not empty"):
        engine.start()
    assert (engine.directory / "mine.txt").read_text() == "keep me"


def test_an_engine_whose_own_code_breaks_ends_and_nobody_waits(start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """A round that is never reported would leave every client without an answer: the process ends, and the next one has it all."""
    trigger = tmp_path / "break"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        f"""
import os
from ev.broker.runtime import Runtime
honest = Runtime._committed
def breaks(self, finished):
    if os.path.exists({str(trigger)!r}):
        raise KeyError("seeded")
    honest(self, finished)
Runtime._committed = breaks
"""
    )
    engine = start_engine(variables={"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{SOURCES}"})
    with RawClient(engine.address) as client:
        make_topic(client, "t")
        assert produce(client, "t", b"kept") == 0
        trigger.touch()
        with pytest.raises(ConnectionResetError):
            produce(client, "t", b"maybe")
    assert engine.wait() == 1
    assert "KeyError: 'seeded'" in engine.log()
    assert not (engine.directory / ".kafka_cleanshutdown").exists()
    trigger.unlink()
    engine.start()
    with RawClient(engine.address) as client:
        assert produce(client, "t", b"after") in (1, 2)


def test_a_second_signal_ends_it_at_once_and_nothing_answered_is_lost(engine: Engine) -> None:
    """As a crash does: the status is not 0, and the next start recovers."""
    with RawClient(engine.address) as client:
        make_topic(client)
        last = produce(client)
    os.kill(engine.pid, signal.SIGSTOP)
    os.kill(engine.pid, signal.SIGTERM)
    os.kill(engine.pid, signal.SIGINT)
    os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait() in (0, 1)
    engine.start()
    with RawClient(engine.address) as client:
        assert produce(client) == last + 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs unshare")
@pytest.mark.root
def test_it_works_as_the_first_process_of_a_container(tmp_path: pathlib.Path) -> None:
    """PID 1 has no default signal actions: SIGTERM must still end it cleanly."""
    engine = Engine(tmp_path / "data", wrapper=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    with engine:
        with RawClient(engine.address) as client:
            make_topic(client)
            produce(client)
        assert facts(engine)["pid"] == 1
        children = pathlib.Path(f"/proc/{engine.pid}/task/{engine.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert engine.wait() == 0
    assert "SIGTERM: closing" in engine.log()


def test_it_works_with_256_open_files(tmp_path: pathlib.Path) -> None:
    """More partitions than descriptors, more connections than may be: it serves those it can, refuses the rest and goes on."""
    limit = (256, 256)
    engine = Engine(tmp_path / "data", settings={"num.partitions": "150"}, wrapper=["prlimit", f"--nofile={limit[0]}:{limit[1]}"])
    with engine:
        with RawClient(engine.address) as client:
            make_topic(client, "a")
            make_topic(client, "b")
            for topic in ("a", "b"):
                for index in range(150):
                    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=index, records=encode_batch([b"v"]))])
                    response = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]))
                    assert response.responses[0].partition_responses[0].error_code == 0, index
            others = [engine.connect() for _ in range(200)]
            try:
                wait_for(lambda: "refused" in engine.log(), "refused connections in the log")
                assert produce(client, "a") == 1
            finally:
                for other in others:
                    other.close()
        with RawClient(engine.address) as client:
            assert produce(client, "b") == 1
        assert engine.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_limit_on_open_files_is_raised_to_what_is_allowed(tmp_path: pathlib.Path) -> None:
    """Soft 256 under a higher hard limit is no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with Engine(tmp_path / "data", wrapper=["prlimit", f"--nofile=256:{hard}"]) as engine:
        limits = pathlib.Path(f"/proc/{engine.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert line.split()[3:5] == [str(hard), str(hard)]


def test_after_readiness_it_imports_nothing(tmp_path: pathlib.Path) -> None:
    """An upgrade under a running engine changes nothing. All compressions, errors and a traceback's worth of bad input included."""
    code = (
        "import sys\n"
        "from ev.server import daemon\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        sys.stderr.write(f'IMPORT {name}\\n'); sys.stderr.flush()\n"
        "announce = daemon.Engine._announce\n"
        "def watched(self):\n"
        "    announce(self)\n"
        "    sys.meta_path.insert(0, Watch())\n"
        "daemon.Engine._announce = watched\n"
        "sys.exit(daemon.run(sys.argv[1:]))\n"
    )
    reader, writer = os.pipe()
    command = [sys.executable, "-P", "-c", code, *daemon_command(tmp_path / "data", writer)[4:]]
    with subprocess.Popen(command, pass_fds=(writer,), env=environment(), stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        address = read_line(reader, 30).split()[1]
        os.close(reader)
        exercise(address)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [line for line in said.splitlines() if line.startswith("IMPORT")] == []


@pytest.mark.strace
@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
def test_after_readiness_it_opens_nothing_outside_its_data_directory(engine: Engine, tmp_path: pathlib.Path) -> None:
    """No file of the package, no time zone, no codec: only its own data, from readiness to the clean end."""
    trace, said = tmp_path / "trace.txt", tmp_path / "strace.txt"
    with said.open("wb") as stderr:
        command = ["strace", "-f", "-o", str(trace), "-e", "trace=open,openat,openat2", "-p", str(engine.pid)]
        tracer = subprocess.Popen(command, stderr=stderr)
    wait_for(lambda: b"attached" in said.read_bytes() or tracer.poll() is not None, "strace to attach")
    if tracer.poll() is not None:
        pytest.skip(f"strace may not attach here: {said.read_text()}")
    exercise(engine.address)
    assert engine.stop() == 0
    tracer.wait(20)
    # A call that another thread interrupted is two lines; the first names the file.
    opened = [line for line in trace.read_text().splitlines() if "open" in line and "resumed>" not in line]
    assert opened
    assert [line for line in opened if str(engine.directory) not in line] == []


def exercise(address: str) -> None:
    """Something of everything: each codec, topics made and deleted, groups, bad frames, searches by time."""
    with RawClient(address) as client:
        make_topic(client)
        for codec in range(5):
            batch = encode_batch([b"v" * 100] * 10, compression=codec)
            data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=batch)])
            assert (
                client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data])).responses[0].partition_responses[0].error_code
                == 0
            )
        asked = ListOffsetsTopic(name="t", partitions=[ListOffsetsPartition(partition_index=0, timestamp=1)])
        client.ask(2, 7, ListOffsetsRequest(replica_id=-1, topics=[asked]))
        client.ask(
            32, 4, DescribeConfigsRequest(resources=[DescribeConfigsResource(resource_type=4, resource_name="1", configuration_keys=None)])
        )
        client.ask(10, 4, FindCoordinatorRequest(key_type=0, coordinator_keys=["g"]))
        subscription = b"\x00\x03" + encode(ConsumerProtocolSubscription(topics=["t"]), 3)
        protocol = JoinGroupRequestProtocol(name="range", metadata=subscription)
        join = JoinGroupRequest(group_id="g", session_timeout_ms=10_000, rebalance_timeout_ms=10_000, protocol_type="consumer")
        join.protocols = [protocol]
        join.member_id = client.ask(11, 5, join).member_id
        assert client.ask(11, 5, join).error_code == 0
        client.ask(20, 6, DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=5000))
        client.send(b"\x00\x00\x00\x05\x00\x12\x00\x03\xff")
        assert client.closed()


def test_the_sources_are_those_of_this_checkout() -> None:
    """Otherwise these tests would test something else."""
    assert str(pathlib.Path(__file__).resolve().parents[2] / "engine") in SOURCES
