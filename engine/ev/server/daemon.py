"""The engine as a process: `python -P -m ev.server.daemon --data-dir D --listen HOST:PORT`.

From start to readiness: the process is put in order, the data directory is locked and recovered, sockets are bound, and then
`engine.json` in the data directory says where the engine listens and the spawner is told so through a pipe. After that
nothing is imported and no file of the package is read, so that an upgrade under a running engine changes nothing.

    exit status   0 stopped by SIGTERM or SIGINT: everything is synced, the next start scans nothing
                  2 it was told to listen where others reach it, without --insecure: nothing was made, nothing bound
                  4 the port is taken
                  74 the disk broke a promise: a sync or a write of the journal failed, nothing more was acknowledged
                  1 anything else

`--ready-fd N` gets one line: `ready ADDRESS`, or `failed STATUS MESSAGE`. `--lifeline-fd N` is the reading end of a pipe: when everybody
who could write into it has gone, the engine ends as after SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import gc
import json
import logging
import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ev import __version__
from ev.broker.broker import Broker
from ev.clock import SystemClock
from ev.disk import RealDisk
from ev.endpoints import PLAINTEXT, find_endpoints, format_address, parse_address
from ev.errors import DiskError, KafkaError, SettingError
from ev.log.layout import ENGINE_FILE, LOCK
from ev.log.store import Store
from ev.loopback import is_loopback, refuse_exposed
from ev.randomness import SystemRandomness
from ev.server import neighbour, process
from ev.server.connection_quotas import ConnectionQuotas
from ev.server.image import ImageJob, forget_image
from ev.server.listener import (
    Limits,
    Listener,
    PortTakenError,
    bind,
    bind_all,
    local_address,
)
from ev.server.log_file import LogWriter, start_logging
from ev.server.preload import preload
from ev.server.ring import Ring
from ev.server.world import LoopWorld
from ev.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.endpoints import Endpoint
    from ev.server.metrics_listener import MetricsListener
    from ev.server.security import Security
    from ev.server.stalls import Stalls

log = logging.getLogger("ev.server")

EXIT_CLEAN: Final = 0
EXIT_OTHER: Final = 1
EXIT_USAGE: Final = 2
EXIT_PORT_TAKEN: Final = 4
EXIT_DISK: Final = 74

CLOSE_WITHIN_S: Final = 10.0
REPLIES_LEAVE_WITHIN_S: Final = 3.0
ANSWERS_TAKEN_WITHIN_S: Final = 1.0
LOG_WRITTEN_WITHIN_S: Final = 1.0
DESCRIPTORS_KEPT: Final = 48  # sockets that listen, pipes, the lock, the journal, directories being synced, reader threads
SEGMENTS_OPEN_MAX: Final = 1000
GC_THRESHOLDS: Final = (50_000, 20, 50)


class NotStartedError(Exception):
    """The engine cannot start; what to say, and the exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Options:
    """The command line, with everything that is relative made absolute."""

    def __init__(self, arguments: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog="ev.server.daemon", description="Run the ev engine in the foreground.", allow_abbrev=False)
        parser.add_argument("--data-dir", required=True, metavar="DIR")
        parser.add_argument("--listen", action="append", metavar="[NAME://]HOST:PORT", help="may be given several times")
        parser.add_argument("--insecure", action="store_true", help="listen where others reach it, who may then do everything")
        parser.add_argument("--advertise", action="append", metavar="HOST:PORT", help="what clients are told, one for each --listen")
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; may be given several times")
        parser.add_argument(
            "--secret",
            action="append",
            default=[],
            metavar="NAME=VARIABLE",
            help="a setting whose value is in this variable, unseen by `ps`",
        )
        parser.add_argument("--log-file", metavar="FILE", help="log to this file instead of stderr, and detach from the terminal")
        parser.add_argument("--ready-fd", type=int, metavar="N")
        parser.add_argument("--lifeline-fd", type=int, metavar="N", help="a pipe: the engine ends when its other end is closed")
        parser.add_argument("--ephemeral", action="store_true", help="the data directory is new, and removed at the end")
        parsed = parser.parse_args(arguments)
        self.ready_fd: int | None = parsed.ready_fd
        self.lifeline_fd: int | None = parsed.lifeline_fd
        self.data_dir: str = os.path.abspath(parsed.data_dir)
        self.log_file: str | None = None if parsed.log_file is None else os.path.abspath(parsed.log_file)
        self.ephemeral: bool = parsed.ephemeral
        self.listen_texts: list[str] = parsed.listen or []
        self.advertise_texts: list[str] = parsed.advertise or []
        self.setting_texts: list[str] = parsed.set
        for name, _, variable in (text.partition("=") for text in parsed.secret):
            self.setting_texts.append(f"{name}={os.environ.pop(variable, '')}")
        self.insecure: bool = parsed.insecure

    def settings(self) -> Settings:
        texts: dict[str, str] = {}
        for text in self.setting_texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise SettingError(f"Invalid setting {text!r}: expected NAME=VALUE")
            texts[name.strip()] = value
        return Settings.from_mapping(texts)

    def endpoints(self, settings: Settings) -> list[Endpoint]:
        return find_endpoints(self.listen_texts, self.advertise_texts, settings)

    @property
    def logs_json(self) -> bool:
        """Whether the log is to be of JSON: it begins before the settings are looked at, and says what is wrong with them."""
        chosen = [text.partition("=")[2].strip() for text in self.setting_texts if text.partition("=")[0].strip() == "ev.log.format"]
        return chosen[-1:] == ["json"]

    def refuse_exposed(self) -> None:
        """Raise NotStartedError when others would reach a listener that anybody may use, and that was not told to be insecure."""
        if self.insecure:
            return
        try:
            settings = self.settings()
            endpoints = self.endpoints(settings)
        except SettingError:
            return  # the start says so
        try:
            refuse_exposed(endpoint.address[0] for endpoint in endpoints if not endpoint.is_safe(settings))
        except SettingError as error:
            raise NotStartedError(EXIT_USAGE, str(error)) from error


class Descriptors:
    """How the open files that we may have are shared out.

    A segment's file may be open three times over: because it was used of late, because only the journal covers it, and
    because it is being flushed. Half of all descriptors are for that, the rest for connections.
    """

    def __init__(self, limit: int) -> None:
        free = max(limit - DESCRIPTORS_KEPT, 32)
        self.segments = min(SEGMENTS_OPEN_MAX, free // 6)
        self.connections = free - 3 * self.segments


class Readiness:
    """The pipe through which the spawner learns how the start went."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def say(self, line: str) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):  # the spawner has gone
                os.write(descriptor, " ".join(line.split()).encode() + b"\n")
            os.close(descriptor)


class Engine:
    """One engine from its start to its end."""

    def __init__(self, options: Options, readiness: Readiness, writer: LogWriter) -> None:
        self.options = options
        self.readiness = readiness
        self.writer = writer
        self.listeners: list[Listener] = []
        self._endpoints: list[Endpoint] = []
        self.metrics: MetricsListener | None = None
        self._stalls: Stalls | None = None
        self._started_ms = SystemClock().wall_ms()
        self.stopping: asyncio.Event | None = None
        self._world: LoopWorld | None = None
        self._broker: Broker | None = None
        self._store: Store | None = None
        self._disk = RealDisk()
        self._clock = SystemClock()

    # Start.

    async def run(self) -> None:
        """Start, serve until a signal, and close. Raises NotStartedError."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._callback_broke)
        threading.excepthook = self._thread_broke
        self.stopping = asyncio.Event()
        settings = self._settings()
        descriptors = Descriptors(process.raise_open_files_limit())
        broker = self._open(loop, settings, descriptors)
        quotas = ConnectionQuotas(broker.client_quotas, settings, descriptors.connections)
        limits = Limits(quotas, settings.connections_max_idle_ms, settings.queued_max_request_bytes)
        await self._listen(loop, broker, limits)
        if settings.ev_metrics_listen:
            await self._listen_for_metrics(loop, broker, limits)
        self._take_signals(loop)
        preload()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        forget_image(self.options.data_dir)
        self._announce()
        await self.stopping.wait()
        await self._close()

    def _settings(self) -> Settings:
        try:
            settings = self.options.settings()
            self._endpoints = self.options.endpoints(settings)
            if settings.ev_metrics_listen:
                parse_address(settings.ev_metrics_listen)
        except SettingError as error:
            raise NotStartedError(EXIT_OTHER, str(error)) from error
        return settings

    def _open(self, loop: asyncio.AbstractEventLoop, settings: Settings, descriptors: Descriptors) -> Broker:
        """Take the data directory and recover it."""
        randomness = SystemRandomness()
        directory = self.options.data_dir
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            process.check_owner(directory)
            self._store = Store.open(self._disk, directory, settings, self._clock, randomness, open_files_max=descriptors.segments)
            self._store.committer.covered_files_max = descriptors.segments
            self._world = LoopWorld(loop, self._clock, self.fail, Ring.open() if settings.ev_io_uring else None)
            self._broker = Broker(settings=settings, clock=self._clock, randomness=randomness, store=self._store, world=self._world)
        except DiskError as error:
            raise NotStartedError(EXIT_OTHER, self._holder() or str(error)) from error
        except SettingError as error:  # what is set in the directory was checked against the settings of another start
            raise NotStartedError(EXIT_OTHER, f"the settings contradict what was set at run time in {directory}: {error}") from error
        except OSError as error:
            raise NotStartedError(_exit_status(error), f"the data directory {directory} cannot be used: {error}") from error
        if settings.ev_durability == "os":
            log.warning("ev.durability=os: what is acknowledged is not synced, a power cut may lose it")
        return self._broker

    def _holder(self) -> str:
        """`locked PID` when another engine has the directory; empty otherwise. Spawners look for these words."""
        path = f"{self.options.data_dir}/{LOCK}"
        if self._store is not None or not self._disk.exists(path):
            return ""
        lock = self._disk.lock(path)
        if lock is not None:
            lock.release()
            return ""
        return f"locked {self._disk.read(path).decode('ascii', 'replace').strip()}"

    async def _listen(self, loop: asyncio.AbstractEventLoop, broker: Broker, limits: Limits) -> None:
        settings = broker.broker_configs.given
        securities = [self._security(broker, endpoint, settings) for endpoint in self._endpoints]
        insecure = self.options.insecure
        try:
            bound = bind_all([(endpoint.address, insecure or endpoint.is_safe(settings)) for endpoint in self._endpoints])
        except SettingError as error:  # the name has got another address since the start
            raise NotStartedError(EXIT_USAGE, str(error)) from error
        except PortTakenError as error:
            raise NotStartedError(EXIT_PORT_TAKEN, neighbour.describe(error.address)) from error
        except OSError as error:
            listed = ", ".join(format_address(endpoint.address) for endpoint in self._endpoints)
            raise NotStartedError(EXIT_OTHER, f"cannot listen on {listed}: {error}") from error
        for sockets, endpoint, security in zip(bound, self._endpoints, securities, strict=True):
            listener = Listener(broker, sockets, endpoint.advertised, limits, name=endpoint.name, security=security)
            listener.on_changed = self._load_again
            await listener.start(loop)
            self.listeners.append(listener)

    @staticmethod
    def _security(broker: Broker, endpoint: Endpoint, settings: Settings) -> Security | None:
        """What a listener that is not PLAINTEXT needs."""
        if endpoint.protocol == PLAINTEXT:
            return None
        from ev.server.security import Security  # noqa: PLC0415 - most engines do without

        try:
            return Security(broker, endpoint, settings.for_listener(endpoint.name))
        except (SettingError, KafkaError) as error:
            raise NotStartedError(EXIT_OTHER, f"the listener {endpoint.name} cannot be opened: {error}") from error

    async def _listen_for_metrics(self, loop: asyncio.AbstractEventLoop, broker: Broker, limits: Limits) -> None:
        """Open the listener that Prometheus asks."""
        from ev.server import metrics_listener, stalls  # noqa: PLC0415
        from ev.server.metrics import Metrics  # noqa: PLC0415 - most engines do without

        assert self._world is not None
        host, port = parse_address(broker.settings.ev_metrics_listen)
        try:
            sockets = bind(host, port, insecure=self.options.insecure)
        except SettingError as error:
            raise NotStartedError(EXIT_USAGE, f"ev.metrics.listen: {error}") from error
        except PortTakenError as error:
            raise NotStartedError(EXIT_PORT_TAKEN, f"ev.metrics.listen: {error}") from error
        except OSError as error:
            raise NotStartedError(EXIT_OTHER, f"cannot listen on {format_address((host, port))} (ev.metrics.listen): {error}") from error
        self._stalls = stalls.Stalls(loop)
        metrics = Metrics(broker, limits, self._world, self._stalls, __version__, self._started_ms)
        hosts = (*metrics_listener.LOCAL_HOSTS, *broker.settings.ev_metrics_hosts)
        self.metrics = metrics_listener.MetricsListener(sockets, hosts, metrics.text)
        await self.metrics.start(loop)
        self._stalls.start()

    def _announce(self) -> None:
        """Say where we listen: in the data directory, to the spawner, in the log."""
        assert self._broker is not None
        ours = next((listener for listener in self.listeners if listener.security is None), self.listeners[0])
        address = format_address(local_address(ours.address))
        facts = {
            "address": address,
            "pid": os.getpid(),
            "cluster_id": self._broker.cluster_id,
            "version": __version__,
            "started_ms": self._started_ms,
            "log_file": self.options.log_file,
            "data_dir": self.options.data_dir,
            "listeners": [f"{listener.name}://{format_address(listener.address)}" for listener in self.listeners],
            "advertise": self.options.advertise_texts,
            "signals": ["USR1"],
            "metrics": None if self.metrics is None else format_address(self.metrics.address),
        }
        try:
            self._disk.replace(self._engine_file, json.dumps(facts, indent=1).encode() + b"\n")
        except OSError as error:
            raise NotStartedError(_exit_status(error), f"{self._engine_file} cannot be written: {error}") from error
        for listener, endpoint in zip(self.listeners, self._endpoints, strict=True):
            log.info("listening on %s://%s, data in %s", listener.name, format_address(listener.address), self.options.data_dir)
            if not is_loopback(listener.address[0]) and not endpoint.is_safe(self._broker.broker_configs.given):
                log.warning("%s: whoever reaches this address may read and write everything", format_address(listener.address))
        self.writer.wait(LOG_WRITTEN_WITHIN_S)  # who was told that the engine is there finds its log
        if self.metrics is not None:
            log.info("figures for Prometheus at http://%s/metrics", format_address(self.metrics.address))
        self.readiness.say(f"ready {address}")

    @property
    def _engine_file(self) -> str:
        return f"{self.options.data_dir}/{ENGINE_FILE}"

    # End.

    def _take_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        if any(listener.security is not None for listener in self.listeners) and not os.isatty(0):
            loop.add_signal_handler(signal.SIGHUP, self._load_again)  # at a terminal it means that the terminal has gone
        loop.add_signal_handler(signal.SIGUSR1, self._make_image)
        if self.options.lifeline_fd is not None:
            loop.add_reader(self.options.lifeline_fd, self._orphaned, self.options.lifeline_fd)

    def _orphaned(self, lifeline: int) -> None:
        """Whoever started us has ended, however that came about: so do we."""
        assert self.stopping is not None
        asyncio.get_running_loop().remove_reader(lifeline)
        os.close(lifeline)
        if not self.stopping.is_set():
            self._stop(signal.SIGTERM)

    def _make_image(self) -> None:
        """Somebody wants to back up the data directory as it is now."""
        store, world = self._store, self._world
        assert store is not None
        assert world is not None
        assert self.stopping is not None
        if store.holds_files or self.stopping.is_set():
            return

        def made(result: Any) -> None:
            store.hold_files(False)
            count, problem = result if isinstance(result, tuple) else (0, str(result))
            if problem:
                log.error("an image for a backup could not be made: %s", problem)
            else:
                log.info("made an image of %d files for a backup", count)

        store.hold_files(True)
        world.image(ImageJob(store), made)

    def _load_again(self) -> None:
        """Read certificates and keys again, for the connections to come."""
        for listener in self.listeners:
            listener.load_again()

    def _stop(self, number: int) -> None:
        """The first signal closes cleanly; the second ends at once, as a crash does."""
        assert self.stopping is not None
        if self.stopping.is_set():
            log.warning("%s again: ending at once", signal.Signals(number).name)
            self._end_now(EXIT_OTHER)
        log.info("%s: closing", signal.Signals(number).name)
        self.stopping.set()
        watchdog = threading.Timer(CLOSE_WITHIN_S, self._end_now, (EXIT_OTHER,))
        watchdog.daemon = True
        watchdog.start()

    def fail(self, error: OSError) -> None:
        """The disk broke a promise: nobody gets an answer any more, and nothing is marked clean."""
        log.critical("the disk failed: %s; nothing that waits is acknowledged, the engine ends with status %d", error, EXIT_DISK)
        self._end_now(EXIT_DISK)

    def _thread_broke(self, broken: threading.ExceptHookArgs) -> None:
        """A thread that waits for the disk is gone: what waits for it would wait for ever."""
        log.critical("thread %s broke", broken.thread and broken.thread.name, exc_info=broken.exc_value)
        self._end_now(EXIT_OTHER)

    def _callback_broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something of ours broke on the loop. What belongs to a connection ends with it; else nobody can say what will not happen now.

        A round that is not reported leaves everybody waiting for ever. So the engine ends, as a crash does: what was acknowledged is
        on disk, and clients find the next engine.
        """
        error = context.get("exception")
        trace = error if isinstance(error, BaseException) else None
        if trace is None or "handle" not in context:
            log.error("%s", context.get("message", "unhandled error"), exc_info=trace)
            return
        log.critical("%s: the engine ends with status %d", context.get("message", "a callback broke"), EXIT_OTHER, exc_info=trace)
        self._end_now(EXIT_OTHER)

    def _end_now(self, status: int) -> NoReturn:
        self.writer.close()
        os._exit(status)

    async def _close(self) -> None:
        """Answer what was taken, sync everything, mark the directory clean."""
        broker, world, store = self._broker, self._world, self._store
        assert broker is not None
        assert world is not None
        assert store is not None
        for listener in self.listeners:
            listener.stop_taking()
        if self.metrics is not None:
            self.metrics.stop()
        if self._stalls is not None:
            self._stalls.stop()
        broker.upkeep.stop()
        await _settled(broker)
        await _sent(self.listeners)
        for listener in self.listeners:
            listener.abort_connections()
        await asyncio.sleep(0)
        world.stop()
        await asyncio.sleep(0)  # what the threads did last is reported on the loop
        try:
            store.close(clean=True)
        except OSError as error:
            self.fail(error)
        with contextlib.suppress(OSError):
            self._disk.remove(self._engine_file)
        log.info("closed; the loop's longest stall was %d ms", world.longest_stall_ms)


def _exit_status(error: OSError) -> int:
    """How a start ends that this error has stopped."""
    return EXIT_DISK if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT) else EXIT_OTHER


async def _settled(broker: Broker) -> None:
    """Wait until everything that was appended is synced, so that its replies can leave."""
    done = asyncio.Event()
    committer = broker.committer
    newest = committer.open_round if committer.dirty else committer.open_round - 1
    broker.runtime.after_round(newest, done.set)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), REPLIES_LEAVE_WITHIN_S)
    await asyncio.sleep(0)


async def _sent(listeners: Sequence[Listener]) -> None:
    """Give the clients a moment to take what they were answered."""
    for listener in listeners:
        listener.finish_connections()
    for _ in range(round(ANSWERS_TAKEN_WITHIN_S / 0.01)):
        if not any(listener.connections for listener in listeners):
            return
        await asyncio.sleep(0.01)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def prepare_ephemeral(directory: str) -> None:
    """An ephemeral engine removes its directory at the end, so it must not hold anything of anybody's."""
    if os.path.isdir(directory) and os.listdir(directory):
        raise NotStartedError(EXIT_OTHER, f"{directory} is not empty: an ephemeral engine removes its data directory at the end")


def run(arguments: Sequence[str]) -> int:
    """Run one engine until it is told to stop; returns the exit status."""
    process.occupy_standard_descriptors()
    options = Options(arguments)
    readiness = Readiness(options.ready_fd)
    try:
        options.refuse_exposed()
    except NotStartedError as error:  # before there is a log: not even that is made
        readiness.say(f"failed {error.status} {error}")
        with contextlib.suppress(OSError):
            os.write(2, f"ev: {error}\n".encode())
        return error.status
    for number in (signal.SIGTERM, signal.SIGINT):  # until the loop has its own; as PID 1 there is no default action
        signal.signal(number, lambda signum, _frame: _interrupted(readiness, signum))
    if options.log_file is not None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        process.detach(options.ready_fd)
    process.settle()
    writer = start_logging(options.log_file, as_json=options.logs_json)
    ours_to_remove = False
    try:
        if options.ephemeral:
            prepare_ephemeral(options.data_dir)
            ours_to_remove = True
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(Engine(options, readiness, writer).run())
        status = EXIT_CLEAN
    except NotStartedError as error:
        log.error("not started: %s", error)
        readiness.say(f"failed {error.status} {error}")
        return error.status
    finally:
        if ours_to_remove:
            shutil.rmtree(options.data_dir, ignore_errors=True)
        writer.close()
    return status


def _interrupted(readiness: Readiness, number: int) -> NoReturn:
    """A signal before readiness: nothing was promised to anybody yet."""
    readiness.say(f"failed {EXIT_OTHER} stopped by {signal.Signals(number).name} before it was ready")
    os._exit(EXIT_OTHER)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
