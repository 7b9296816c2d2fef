"""The engine of this machine: found by its data directory, started when it is needed, stopped by a signal.

The holder of the lock on DATA_DIR/.lock is the engine; it writes DATA_DIR/engine.json when it listens. A client believes that
file when somebody holds the lock and took it before the file was written; whether the cluster id is the same it sees when it speaks to
it. Otherwise one command at a time (DATA_DIR/.starting) starts the daemon, and those that came meanwhile find it running:

    engine.json holds? -- yes --> use it
         | no
    lock .starting, look again, spawn the daemon
         |-- ready ADDRESS          use it
         |-- failed 1 locked PID    another engine holds the directory: it starts or stops just now; look again
         |-- failed 4 ...           the port is taken; the daemon says by whom
         '-- failed, or gone        say what the daemon said, else the end of its log

The daemon gets a session of its own, /dev/null as its standard streams, / as its directory and nothing from the environment
that is not on a list.
"""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.engine_settings import argument_of, secret_variables
from ev_cli.failures import FAILED, UNREACHABLE, Failure, UsageFailure
from ev_cli.lock_holder import has_written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOCK = ".lock"
STARTING = ".starting"
TOLD = ".told"
"""Holds which engine of another version a person was told of."""
START_TIMEOUT_MS = 60_000
STOP_TIMEOUT_MS = 30_000

# What the daemon may inherit: what finds programs, files, language and time, and what makes this Python run at all.
INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONHOME",
    "PYTHONPYCACHEPREFIX",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUTF8",
)

_READY_FD = 3


class LocalEngine:
    """One data directory and the engine that serves it, or will."""

    def __init__(self, data_dir: str, listen: str | None, options: Any) -> None:
        self.data_dir = data_dir
        self.options = options
        self.cluster_id: str | None = None
        """That of the running engine, as engine.json has it; None before address_for_use()."""
        self.version: str | None = None
        """Likewise."""
        self._listen = listen

    # -- finding it ------------------------------------------------------------------------------------------------------

    def address_for_use(self) -> str:
        """The address of the running engine; starts one when none runs, unless EV_AUTOSTART=0."""
        self.check_owner()
        address = self.listening_address()
        if address is not None:
            self._say_other_version()
            return address
        if not _may_start():
            raise Failure(
                f"the local engine (data in {self.data_dir}) does not run and EV_AUTOSTART=0 forbids starting it",
                "`ev server start` starts it",
                code=UNREACHABLE,
            )
        address, started = self.start(by_itself=True)
        if started and not self.options.quiet:
            output.say(f"ev: started the local engine at {address}, data in {self.data_dir} (`ev server stop` ends it)")
        return address

    def revived(self) -> str | None:
        """The address of the engine that runs; started again where it was when it had died. None when it was stopped, or may not start."""
        address = self.listening_address()
        last = self.described().get("address")
        if address is not None or not last or self.held_since_ns() is not None or not _may_start():
            return address
        address, started = self.start(by_itself=True)
        if started and not self.options.quiet:
            output.say(f"ev: the local engine had died; started it again at {address}")
        return address

    def _say_other_version(self) -> None:
        """Once for each start of an engine: it is of another version than this. They understand each other all the same."""
        import ev

        if self.version in (None, ev.__version__):
            return
        told = os.path.join(self.data_dir, TOLD)
        this = f"{self._file()[1]} {ev.__version__}"
        try:
            with open(told, encoding="utf-8") as file:
                if file.read(256) == this:
                    return
        except (OSError, UnicodeDecodeError):
            pass
        try:
            with open(told, "w", encoding="utf-8") as file:
                file.write(this)
        except OSError:
            pass
        if not self.options.quiet:
            output.say(f"ev: the engine is of version {self.version}, this is {ev.__version__} (`ev server restart` renews it)")

    def check_owner(self) -> None:
        """A data directory that is another user's is refused, under sudo too: files in it must stay its owner's."""
        try:
            owner = os.stat(self.data_dir).st_uid
        except OSError:
            return
        if hasattr(os, "geteuid") and owner != os.geteuid():
            raise Failure(
                f"the data directory {self.data_dir} belongs to {user_name(owner)}, not to {user_name(os.geteuid())}",
                "run ev as its owner, or name another directory with EV_DATA_DIR",
            )

    def _file(self) -> tuple[str, int]:
        """engine.json as it stands, and when it was written; empty when there is none."""
        try:
            with open(os.path.join(self.data_dir, "engine.json"), encoding="utf-8") as file:
                return file.read(65536), os.fstat(file.fileno()).st_mtime_ns
        except (OSError, UnicodeDecodeError):
            return "", 0

    def described(self) -> dict[str, Any]:
        """engine.json parsed; empty when there is none, or none that parses."""
        import json

        try:
            found = json.loads(self._file()[0] or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def held_since_ns(self) -> int | None:
        """When the holder of the data directory's lock took it; None when nobody holds it."""
        import fcntl

        try:
            lock = os.open(os.path.join(self.data_dir, LOCK), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return os.fstat(lock).st_mtime_ns
        finally:
            os.close(lock)
        return None

    def running(self) -> dict[str, Any] | None:
        """engine.json of the engine that holds the lock now, None when none does or it does not listen yet."""
        self.check_owner()
        if self.held_since_ns() is None:
            return None
        found = self.described()
        pid = found.get("pid")
        if not isinstance(pid, int) or not self._has_lock_open(pid):
            return None
        return found

    def _has_lock_open(self, pid: int) -> bool:
        """Whether that process has the lock file open. Where /proc does not say, it only has to be alive."""
        try:
            lock = os.stat(os.path.join(self.data_dir, LOCK))
            names = os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            return True
        except OSError:
            return not os.path.isdir("/proc/self/fd") and _alive(pid)
        for name in names:
            try:
                opened = os.stat(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            if (opened.st_ino, opened.st_dev) == (lock.st_ino, lock.st_dev):
                return True
        return False

    def listening_address(self) -> str | None:
        """The address that the holder of the lock has written since it took it; None when there is no holder, or not yet an address."""
        held_since_ns = self.held_since_ns()
        if held_since_ns is None:
            return None
        text, written_ns = self._file()
        if written_ns < held_since_ns and not has_written(os.path.join(self.data_dir, LOCK), text):
            return None
        self.cluster_id = field(text, "cluster_id")
        self.version = field(text, "version")
        return field(text, "address")

    # -- starting it -----------------------------------------------------------------------------------------------------

    def start(self, *, by_itself: bool) -> tuple[str, bool]:
        """Start the engine unless it runs. Returns its address, and whether it was started by this call."""
        if self.listening_address() is None:
            self.refuse_exposed()
        self._make_data_dir()
        deadline = time.monotonic() + START_TIMEOUT_MS / 1000
        starting = self._wait_for_turn(deadline)
        try:
            while True:
                address = self.listening_address()
                if address is not None:
                    return address, False
                if by_itself:
                    self._refuse_after_failed_fsync()
                answer = self._spawn_where_it_was(deadline)
                if answer.startswith("ready "):
                    self.cluster_id = field(self._file()[0], "cluster_id")
                    return answer.split()[1], True
                self._raise_unless_locked(answer)
                address = self._wait_for_other(deadline)
                if address is not None:
                    return address, False
        finally:
            os.close(starting)

    def _wait_for_other(self, deadline: float) -> str | None:
        """Another process has the directory, and starts or stops just now: its address, or None when it has let go."""
        while self.held_since_ns() is not None:
            address = self.listening_address()
            if address is not None:
                return address
            if time.monotonic() > deadline:
                raise Failure(
                    f"another process holds {self.data_dir} but does not answer", "`ev server status` shows which", code=UNREACHABLE
                )
            time.sleep(0.02)
        return None

    def check(self) -> None:
        """Raise UsageFailure or SettingError when it could not be started as it is told to, before anything is made."""
        from ev.settings import Settings

        self.command(log_file=None)
        Settings.from_mapping(self.settings())

    def command(self, *, log_file: str | None, ready_fd: int | None = None) -> list[str]:
        """The daemon's command line. Every path in it is absolute."""
        from ev_cli.beside import command_of

        arguments = [*command_of("ev.server.daemon"), "--data-dir", self.data_dir]
        for address in self.listen.split(",") if self.listen else ():
            arguments += ["--listen", address]
        if self.insecure:
            arguments.append("--insecure")
        advertise = self.options.advertise or self._configured("advertise")
        if advertise:
            from ev_cli.session import with_ports

            with_ports(str(advertise))  # says what is no address
        for address in str(advertise).split(",") if advertise else ():
            arguments += ["--advertise", address]
        for name, value in self.settings().items():
            arguments += argument_of(name, value)
        if log_file is not None:
            arguments += ["--log-file", log_file]
        if ready_fd is not None:
            arguments += ["--ready-fd", str(ready_fd)]
        return arguments

    @property
    def listen(self) -> str:
        """--listen or EV_LISTEN, else the setting `listeners` (then empty), else the configuration, else Kafka's port on loopback."""
        from ev_cli.session import DEFAULT_LISTEN, with_ports

        if self._listen:
            return self._listen
        if self.settings().get("listeners"):
            return ""
        return with_ports(str(self._configured("listen") or DEFAULT_LISTEN))

    @property
    def is_told_where(self) -> bool:
        """Whether somebody says where it shall listen, or that is Kafka's port on loopback because nobody does."""
        return bool(self._listen or self.settings().get("listeners") or self._configured("listen"))

    @property
    def insecure(self) -> bool:
        """Whether the engine may listen where others reach it: --insecure, else EV_INSECURE, else the configuration."""
        from ev_cli.session import config_path

        if self.options.insecure:
            return True
        given = os.environ.get("EV_INSECURE")
        if given:
            return given.lower() in ("1", "yes", "true", "on")
        configured = self._configured("insecure") or False
        if not isinstance(configured, bool):
            raise UsageFailure(f"server.insecure in {config_path(self.options)} is {configured!r}", "write true or false")
        return configured

    def refuse_exposed(self) -> None:
        """Refuse to start an engine that others would reach, before anything is made. The daemon refuses it too."""
        if self.insecure:
            return
        from ev.endpoints import find_endpoints
        from ev.errors import SettingError
        from ev.loopback import refuse_exposed
        from ev.settings import Settings

        try:
            settings = Settings.from_mapping(self.settings())
            endpoints = find_endpoints(self.listen.split(",") if self.listen else (), (), settings)
        except SettingError:
            return  # the daemon says so
        refuse_exposed(endpoint.address[0] for endpoint in endpoints if not endpoint.is_safe(settings))

    def settings(self) -> dict[str, str]:
        """The engine's settings: the configuration's [server.settings], then EV_<NAME> variables, then --set, in whatever units."""
        from ev.coarser_settings import in_milliseconds
        from ev_cli.dotted import flat
        from ev_cli.engine_settings import setting_text, settings_from_environment
        from ev_cli.session import config_path

        configured = self._configured("settings") or {}
        if not isinstance(configured, dict):
            raise UsageFailure(f"server.settings in {config_path(self.options)} is no table", "write [server.settings]")
        found = in_milliseconds({name: setting_text(value) for name, value in flat(configured).items()})
        found.update(in_milliseconds(settings_from_environment()))
        asked = {}
        for item in self.options.settings or ():
            name, equals, value = item.partition("=")
            if not equals:
                raise UsageFailure(f"--set {item!r} sets nothing", "write --set NAME=VALUE")
            asked[name] = value
        return {**found, **in_milliseconds(asked)}

    @property
    def log_file(self) -> str:
        """The log of a self-started engine: in the state directory for the default data directory, else beside the data."""
        from ev_cli import places

        state = places.directory("state")
        default = places.directory("data")
        if state is not None and default is not None and self.data_dir == os.path.join(default, "local"):
            folder = os.path.join(state, "log")
            try:
                os.makedirs(folder, 0o700, exist_ok=True)
            except OSError:
                return os.path.join(self.data_dir, "server.log")
            return os.path.join(folder, "server.log")
        return os.path.join(self.data_dir, "server.log")

    def environment(self) -> dict[str, str]:
        """The environment of our programs: the allow-list, and those entries of PYTHONPATH that hold `ev`, made absolute."""
        environ = {name: os.environ[name] for name in INHERITED if name in os.environ}
        found = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        holding = [entry for entry in found if os.path.exists(os.path.join(entry, "ev", "__init__.py"))]
        if holding:
            environ["PYTHONPATH"] = os.pathsep.join(holding)
        return environ

    def environment_of_daemon(self) -> dict[str, str]:
        """The same for the daemon, and the settings that its command line does not show."""
        return {**self.environment(), **secret_variables(self.settings())}

    def _configured(self, name: str) -> Any:
        from ev_cli.session import server_configuration

        return server_configuration(self.options).get(name)

    def _make_data_dir(self) -> None:
        try:
            os.makedirs(self.data_dir, 0o700, exist_ok=True)
        except OSError as error:
            raise UsageFailure(
                f"cannot make the data directory {self.data_dir}: {error.strerror}",
                "set EV_DATA_DIR to a directory of yours (and EV_CONFIG to a file, if you want one)",
            ) from None
        self.check_owner()

    def _wait_for_turn(self, deadline: float) -> int:
        """The descriptor that makes this process the only one that starts the engine; closing it ends the turn."""
        import fcntl

        try:
            starting = os.open(os.path.join(self.data_dir, STARTING), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Failure(
                f"cannot write in the data directory {self.data_dir}: {error.strerror}", "is it yours, and is the disk full?"
            ) from None
        while True:
            try:
                fcntl.flock(starting, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return starting
            except OSError:
                if time.monotonic() > deadline:
                    os.close(starting)
                    raise Failure(
                        "another command has been starting the local engine for too long", "`ev server logs` may say why", code=UNREACHABLE
                    ) from None
                time.sleep(0.02)

    def _spawn(self, deadline: float) -> str:
        """Start the daemon and wait for its one line: `ready ADDRESS` or `failed STATUS MESSAGE`; empty when it just died."""
        command = self.command(log_file=self.log_file, ready_fd=_READY_FD)
        environ = self.environment_of_daemon()
        source, target = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(source)
            _become_daemon(command, environ, target)
        os.close(target)
        os.waitpid(child, 0)
        try:
            return read_line(source, deadline)
        finally:
            os.close(source)

    def _spawn_where_it_was(self, deadline: float) -> str:
        """An engine that may listen at any port and has died gets the port that it had, if that is free: its clients look for it there."""
        listen, last = self.listen, self.described().get("address")
        if not last or listen != f"{str(last).rpartition(':')[0]}:0":
            return self._spawn(deadline)
        self._listen = str(last)
        answer = self._spawn(deadline)
        if not answer.startswith("failed 4 "):
            return answer
        self._listen = listen
        return self._spawn(deadline)

    def _raise_unless_locked(self, answer: str) -> None:
        """Anything but `failed 1 locked PID` ends the attempt."""
        words = answer.split(None, 2)
        if answer.startswith("failed 1 locked"):
            return
        if len(words) == 3 and words[0] == "failed":
            if words[1] == "4":
                raise Failure(output.safe(words[2]), code=UNREACHABLE)
            if words[1] == "2":
                raise UsageFailure(output.safe(words[2]))
            code = UNREACHABLE if words[1] == "74" else FAILED
            raise Failure(f"the local engine does not start: {output.safe(words[2])}", f"its log is {self.log_file}", code=code)
        last = self.last_log_line()
        raise Failure(
            f"the local engine ended while it was starting{': ' + output.safe(last) if last else ''}",
            f"its log is {self.log_file}",
            code=UNREACHABLE,
        )

    def _refuse_after_failed_fsync(self) -> None:
        """An engine that a failed fsync ended is not started again behind a person's back."""
        cause = self.fsync_failure()
        if cause is not None:
            raise Failure(
                f"the local engine stopped because the disk failed: {output.safe(cause)}",
                f"look at the disk below {self.data_dir}, then `ev server start`",
                code=UNREACHABLE,
            )

    def fsync_failure(self) -> str | None:
        """The cause from the log, when the last thing that the last engine wrote was that a sync had failed."""
        last = self.last_log_line()
        return last if "the disk failed" in last and last.endswith("74") else None

    def last_log_line(self) -> str:
        try:
            with open(self.log_file, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
                lines = file.read().split(b"\n")
        except OSError:
            return ""
        last = next((line.decode("utf-8", "replace") for line in reversed(lines) if line.strip()), "")
        return _message_of(last) if last.startswith("{") else last

    # -- stopping it -----------------------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Stop the engine and wait until it has let go of its lock. False when none ran."""
        import signal

        self.check_owner()
        deadline = time.monotonic() + STOP_TIMEOUT_MS / 1000
        asked: int | None = None
        while self.held_since_ns() is not None:
            found = self.running()
            if found is not None and found["pid"] != asked:
                asked = int(found["pid"])
                try:
                    os.kill(asked, signal.SIGTERM)
                except ProcessLookupError:
                    pass
                except PermissionError:
                    raise Failure(f"process {asked} may not be signalled", "stop it as its owner") from None
            if time.monotonic() > deadline:
                raise Failure(
                    f"the local engine (process {asked or 'unknown'}) does not end", f"its log is {self.log_file}", code=UNREACHABLE
                )
            time.sleep(0.02)
        while asked is not None and _alive(asked) and time.monotonic() < deadline:
            time.sleep(0.01)
        return asked is not None


def _may_start() -> bool:
    return os.environ.get("EV_AUTOSTART", "1").lower() not in ("0", "no", "false", "off")


def _message_of(line: str) -> str:
    """What a line of a log of JSON says."""
    import json

    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line


def field(text: str, name: str) -> str | None:
    """One string of engine.json, without importing a parser: addresses and ids hold nothing that JSON escapes."""
    _, found, rest = text.partition(f'"{name}"')
    if not found:
        return None
    value = rest.lstrip(": \t\r\n")
    return value[1:].partition('"')[0] if value[:1] == '"' else None


def _become_daemon(command: list[str], environ: dict[str, str], ready_fd: int) -> None:
    """In the forked child: leave the terminal, fork once more so that nobody has to wait for the daemon, and become it."""
    status = 1
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.chdir("/")
        os.umask(0o077)
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        if ready_fd != _READY_FD:
            os.dup2(ready_fd, _READY_FD)
        os.set_inheritable(_READY_FD, True)
        os.closerange(_READY_FD + 1, 65536)
        os.execve(command[0], command, environ)
    except OSError as error:
        status = error.errno or 1
        os.write(_READY_FD, f"failed 1 cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status & 0xFF)


def read_line(source: int, deadline: float) -> str:
    """What the daemon says through the pipe: one line, or nothing when it has gone."""
    import select

    data = b""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while not data.endswith(b"\n"):
        left_ms = int((deadline - time.monotonic()) * 1000)
        if left_ms <= 0 or not poll.poll(left_ms):
            return f"failed 1 it was not ready within {START_TIMEOUT_MS // 1000} s"
        chunk = os.read(source, 4096)
        if not chunk:
            break
        data += chunk
    return data.decode("utf-8", "replace").rstrip("\n")


def _alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits only to be noticed by its parent does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not os.path.exists("/proc/self/stat")
    except OSError:
        return False


def user_name(uid: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (ImportError, KeyError):
        return f"uid {uid}"
