"""ev server exec: an engine around a command, which is gone when the command is.

    this process ──── lifeline (a pipe) ───> the engine, in a session of its own: it ends when this process does
         └── the command, in our process group: the terminal's signals reach both, the others are passed on

Who kills this process with SIGKILL ends both: the engine sees the lifeline break and removes its directory, the command gets SIGTERM from
the kernel (Linux).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ev_cli import output
from ev_cli.failures import FAILED, UNREACHABLE, Failure
from ev_cli.local_engine import LocalEngine, read_line
from ev_cli.running import Options
from ev_cli.seeding import seed, seeds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_EXECUTABLE, NOT_FOUND = 126, 127
START_WITHIN_S = 60
END_WITHIN_S = 15
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
PARENT_DEATH_SIGNAL = 1
SELECTORS = ("EV_CONTEXT", "EV_BOOTSTRAP", "EV_DATA_DIR", "EV_LISTEN")


def exec_server(options: Any) -> int:
    seeds = seeds_of(options.seeds)
    name = options.words[0]
    program = shutil.which(name)
    if program is None:
        is_there = os.path.exists(name) and os.sep in name
        output.say(f"ev: {output.safe(name)}: {'not executable' if is_there else 'no such command'}")
        return NOT_EXECUTABLE if is_there else NOT_FOUND
    engine = TemporaryEngine(options)
    try:
        address = engine.start()
        seed(address, seeds)
        return _run([program, *options.words[1:]], engine.variables(address), name)
    finally:
        engine.end()


class TemporaryEngine:
    """An engine in a directory that goes with it. It ends when this process does, in whatever way."""

    def __init__(self, options: Any) -> None:
        self._options = Options({"config_file": os.devnull, "settings": options.settings, "insecure": False})
        self._is_loud = bool(options.verbose)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self.data_dir = ""

    def start(self) -> str:
        """Its address, as soon as it answers."""
        self.data_dir = tempfile.mkdtemp(prefix="ev-exec-")
        engine = LocalEngine(self.data_dir, "127.0.0.1:0", self._options)
        ready, ready_end = os.pipe()
        lifeline_end, self._lifeline = os.pipe()
        command = [*engine.command(log_file=None, ready_fd=ready_end), "--ephemeral", "--lifeline-fd", str(lifeline_end)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if self._is_loud else subprocess.DEVNULL,
                pass_fds=(ready_end, lifeline_end),
                env=engine.environment_of_daemon(),
                start_new_session=True,
            )
        finally:
            os.close(ready_end)
            os.close(lifeline_end)
        try:
            answer = read_line(ready, time.monotonic() + START_WITHIN_S)
        finally:
            os.close(ready)
        if not answer.startswith("ready "):
            words = answer.split(None, 2)
            said = words[2] if len(words) == 3 else "-v shows what it said"
            raise Failure(f"the engine does not start: {output.safe(said)}", code=UNREACHABLE if words[1:2] == ["4"] else FAILED)
        return answer.split()[1]

    def variables(self, address: str) -> dict[str, str]:
        """The environment of a command that is to find this engine, and no other."""
        environ = {name: value for name, value in os.environ.items() if name not in SELECTORS}
        ours = {"EV_BOOTSTRAP": address, "EV_DATA_DIR": self.data_dir, "EV_LISTEN": address, "EV_AUTOSTART": "0"}
        return {**environ, **ours, "KAFKA_BOOTSTRAP_SERVERS": address}

    def end(self) -> None:
        """End it and take its directory away."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._process is not None:
            try:
                self._process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self.data_dir:
            shutil.rmtree(self.data_dir, ignore_errors=True)


def _run(command: list[str], environ: dict[str, str], name: str) -> int:
    """Run the command and pass signals on to it; its exit status."""
    waited_for = {*PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    prepare = _dying_with(os.getpid(), before)
    try:
        child = subprocess.Popen(command, env=environ, preexec_fn=prepare)
    except OSError as error:
        output.say(f"ev: {output.safe(name)}: {error.strerror}")
        return NOT_EXECUTABLE
    while child.poll() is None:
        number, from_terminal = _next_signal(waited_for)
        if number != signal.SIGCHLD and not from_terminal:
            child.send_signal(number)
    status = child.returncode
    return 128 - status if status < 0 else status


def _next_signal(waited_for: set[signal.Signals]) -> tuple[int, bool]:
    """The next one, and whether it came from the terminal, which has sent it to the whole process group."""
    if not hasattr(signal, "sigwaitinfo"):
        return signal.sigwait(waited_for), False
    found = signal.sigwaitinfo(waited_for)
    return found.si_signo, found.si_code > 0


def _dying_with(parent: int, mask: set[Any]) -> Any:
    """What the child does before it becomes the command: it takes signals again, also those that came before it was there to hear them,
    and one when its parent has gone."""
    library = None
    if sys.platform == "linux":
        import ctypes

        library = ctypes.CDLL(None)

    def prepare() -> None:
        if library is not None:
            library.prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)
        for number in PASSED_ON:  # a handler of Python's would swallow what comes before the command
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        for early in _pending_in(parent):
            os.kill(os.getpid(), early)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return prepare


def _pending_in(process: int) -> list[int]:
    """Which signals of those that are passed on wait for a process (Linux; elsewhere none is known)."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as status:
            masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd:", "ShdPnd:"))]
    except OSError:
        return []
    return [number for number in PASSED_ON if any(mask >> (number - 1) & 1 for mask in masks)]
