"""Fixtures that every test may use, and the rule of what is skipped on a machine that lacks a program.

A test that needs more than Python carries a marker (kcat, java, go, node, root, strace, tmux) and is skipped with a line that says what is
missing and how to get it. Continuous integration sets EV_TESTS_REQUIRED=1: there nothing may be skipped, and EV_TESTS_EXPECTED=N makes a
run with fewer than N passed tests a failure, so that a test cannot vanish unseen.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Callable, Iterator

import pytest

from support import apache_kafka
from support.all_listeners import AllListeners, engine_with_all, kafka_with_all
from support.engine import Engine
from support.rules import runs_against

REQUIRED = os.environ.get("EV_TESTS_REQUIRED") == "1"
EXPECTED = int(os.environ.get("EV_TESTS_EXPECTED", "0"))
StartEngine = Callable[..., Engine]


def missing(marker: str) -> str:
    """Why tests with this marker cannot run here, with the remedy; empty when they can."""
    match marker:
        case "kcat":
            return "" if shutil.which("kcat") else "kcat is missing (Debian: apt-get install kcat)"
        case "zsh" | "fish" | "tmux":
            return "" if shutil.which(marker) else f"{marker} is missing (Debian: apt-get install {marker})"
        case "java":
            absent = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
            return f"{' and '.join(absent)} missing (Debian: apt-get install default-jdk-headless maven)" if absent else ""
        case "go":
            return "" if shutil.which("go") else "go is missing (Debian: apt-get install golang-go)"
        case "node":
            return "" if shutil.which("npm") and shutil.which("node") else "node or npm is missing (Debian: apt-get install nodejs npm)"
        case "strace":
            return "" if shutil.which("strace") else "strace is missing (Debian: apt-get install strace)"
        case "root":
            return "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "root is needed (loop devices, network namespaces)"
    return ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--against", choices=("ev", "kafka"), help="of the tests that hold on both, run those against one of them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    against = config.getoption("--against")
    if against:
        wanted = [item for item in items if runs_against(item) == against]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers():
        reason = missing(mark.name)
        if reason and REQUIRED:
            pytest.fail(f"nothing may be skipped here: {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


class Tally:
    """Counts outcomes and turns a run that tested too little into a failed one."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.skipped: set[str] = set()
        self.counts: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if isinstance(value, int):
                    self.counts[name] = self.counts.get(name, 0) + value
        if report.skipped:
            self.skipped.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def complaint(self) -> str:
        if REQUIRED and self.skipped:
            return f"{len(self.skipped)} tests were skipped where none may be: {', '.join(sorted(self.skipped)[:5])}"
        if len(self.passed) < EXPECTED:
            return f"only {len(self.passed)} tests passed, at least {EXPECTED} are listed in .ci/tests-expected"
        return ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == 0 and self.complaint():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for name, value in self.counts.items():
            terminalreporter.write_line(f"{name}: {value}")
        if EXPECTED:
            terminalreporter.write_line(f"tests passed: {len(self.passed)}, listed as the least: {EXPECTED}")
        if self.complaint():
            terminalreporter.write_line(f"FAILED: {self.complaint()}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # run in the background: commands would inherit that, and are interrupted here
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the same of a run behind nohup
    if not hasattr(config, "workerinput"):  # the workers of pytest-xdist report to the one process that counts
        config.pluginmanager.register(Tally(), "tally")


@pytest.fixture
def start_engine(tmp_path: pathlib.Path) -> Iterator[StartEngine]:
    """Starts a daemon on a directory of this test's own; every argument of support.engine.Engine may be given. All end with the test."""
    engines: list[Engine] = []

    def start(directory: str | os.PathLike[str] | None = None, **options: object) -> Engine:
        engine = Engine(directory or tmp_path / f"engine-{len(engines)}", **options)  # type: ignore[arg-type]
        engines.append(engine)
        return engine.start()

    yield start
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(start_engine: StartEngine) -> Engine:
    """A daemon with the default settings, on loopback, port 0."""
    return start_engine()


@pytest.fixture(scope="session")
def apache() -> Iterator[apache_kafka.Kafka]:
    """One Apache Kafka broker for the session; a test that asks for it carries the java marker."""
    with apache_kafka.Kafka(properties=apache_kafka.ORDERLY) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def engine_listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllListeners]:
    """One engine with every kind of secured listener, for tests that do not stop it."""
    with engine_with_all(tmp_path_factory.mktemp("listeners")) as found:
        yield found


@pytest.fixture(scope="session")
def kafka_listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllListeners]:
    """An Apache Kafka with the same listeners."""
    with kafka_with_all(tmp_path_factory.mktemp("listeners")) as found:
        yield found


@pytest.fixture(params=["ev", pytest.param("apache", marks=[pytest.mark.java, pytest.mark.slow])])
def listeners(request: pytest.FixtureRequest) -> AllListeners:
    """A broker with every kind of secured listener; each test runs against each kind of broker."""
    found: AllListeners = request.getfixturevalue("kafka_listeners" if request.param == "apache" else "engine_listeners")
    return found
