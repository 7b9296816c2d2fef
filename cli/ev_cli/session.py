"""Which engine a command speaks to, and the client for it.

In this order: -b or -C; --data-dir or --listen; EV_BOOTSTRAP or EV_CONTEXT; EV_DATA_DIR or EV_LISTEN; the project's .ev.toml;
the configuration's current context; the local engine. Two selectors on one level contradict each other: a usage error. The
configuration is parsed only when nothing before it has decided, because the parser alone costs as much as a whole start.
"""

from __future__ import annotations

import os

from ev_cli import output, places, protection
from ev_cli.failures import NOT_FOUND, UNREACHABLE, Failure, UsageFailure
from ev_cli.project import find_project
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client import Admin, Consumer, Producer, Security
    from ev.client.cluster import Cluster
    from ev_cli.local_engine import LocalEngine
    from ev_cli.patience import Patience
    from ev_cli.project import Project

DEFAULT_PORT = 9092
DEFAULT_LISTEN = f"127.0.0.1:{DEFAULT_PORT}"


class Target:
    """One engine: a cluster by its bootstrap addresses, or the local engine by its data directory; and what its context says."""

    __slots__ = (
        "bootstrap",
        "chosen_by",
        "data_dir",
        "defaults",
        "is_announced",
        "listen",
        "name",
        "place",
        "protected",
        "readonly",
        "security",
    )

    def __init__(
        self,
        name: str,
        bootstrap: str | None = None,
        data_dir: str | None = None,
        listen: str | None = None,
        security: Security | None = None,
    ) -> None:
        self.name = name
        self.security = security
        self.bootstrap = bootstrap
        self.data_dir = data_dir
        self.listen = listen
        self.protected = self.readonly = self.is_announced = False
        self.place = ""
        """The file that its context stands in."""
        self.chosen_by: str | None = None
        """The project's file that has named it, if that was what decided."""
        self.defaults: dict[str, Any] = {}
        """Options of commands by command, where they are not given."""

    @property
    def is_local(self) -> bool:
        return self.bootstrap is None


class Session:
    """The engine that the options name, found when it is needed.

    What the command does (see protection.py) is what its declaration says, unless `effect` says what it does at this engine.
    """

    def __init__(self, options: Any, *, local: bool = False, effect: str | None = None) -> None:
        self.options = options
        self.target = local_target(options) if local else target_of(options)
        if not local:
            protection.admit(self.target, options, effect or options.effect)
        self.timeout_ms = duration_ms(options.timeout, "--timeout") if options.timeout else 10_000
        if not self.timeout_ms:
            raise UsageFailure(f"--timeout {options.timeout} leaves no time for anything", "write 500ms, 10s or 5m")
        if options.set:
            from ev_cli.properties import check

            check(options)
        self._engine: LocalEngine | None = None
        self._address: str | None = None
        self._is_prepared = False
        self._patience: Patience | None = None

    @property
    def where(self) -> str:
        """The engine by the name a person would give it."""
        return "the local engine" if self.target.is_local else self.target.name

    @property
    def engine(self) -> LocalEngine:
        """The local engine as such: its directory, its process."""
        if not self.target.is_local:
            raise UsageFailure(f"{self.where} is not the local engine", "leave out -b and -C, or name its --data-dir")
        if self._engine is None:
            from ev_cli.local_engine import LocalEngine

            data_dir = self.target.data_dir or configured_data_dir(self.options) or places.data_directory()
            self._engine = LocalEngine(os.path.abspath(data_dir), self.target.listen, self.options)
        return self._engine

    @property
    def bootstrap(self) -> str:
        """The address to connect to; the local engine is started when it does not run."""
        if self._address is None:
            self._address = self.target.bootstrap or self.engine.address_for_use()
        return self._address

    def moved(self, address: str) -> None:
        """The local engine has been started again, at another address."""
        self._address = address

    def look_again(self) -> None:
        """Whoever answered may be gone: look where the engine is, or start it, when it is needed next."""
        self._address = None

    @property
    def security(self) -> Security | None:
        """How to speak to it. What tells the password is asked before anybody is connected to, as it may ask a person."""
        security = self.target.security
        if security is not None and not self._is_prepared:
            from ev.client.security import told
            from ev_cli.contexts import exposed_file, is_asked_once

            self._is_prepared = True
            exposed = exposed_file(security)
            if exposed is not None:
                self.talk(f"others on this machine may read {exposed}: chmod 600 {exposed}")
            password = None if security.sasl is None else security.sasl.password
            if password is not None and is_asked_once(password):
                told(password)
        return security

    def properties(self, kind: str) -> dict[str, Any]:
        """What -X says about a client of this kind (see ev_cli.properties), as its keyword arguments."""
        if not self.options.set:
            return {}
        from ev_cli.properties import properties_of

        return properties_of(self.options, kind)

    def verify(self, cluster_id: str | None) -> None:
        """What answers is the engine of the data directory, and not somebody who has its port by now."""
        engine = self._engine
        if engine is not None and engine.cluster_id is not None and cluster_id is not None and cluster_id != engine.cluster_id:
            raise Failure(
                f"what answers at {self.bootstrap} is not the engine of {engine.data_dir}",
                f"use it with `-b {self.bootstrap}`, or start the engine at another port: EV_LISTEN=127.0.0.1:0 ev server start",
                code=UNREACHABLE,
            )

    def producer(self, **settings: Any) -> Producer:
        from ev.client.producer import Producer

        protection.admit(self.target, self.options, protection.WRITES)
        producer = Producer(self.bootstrap, security=self.security, **{**settings, **self.properties("producer")})
        producer.cluster.while_waiting = self._while_waiting
        return producer

    def consumer(self, **settings: Any) -> Consumer:
        """With a group it changes what the group has committed, and who its members are."""
        from ev.client.consumer import Consumer

        if settings.get("group") is not None:
            protection.admit(self.target, self.options, protection.WRITES)
        consumer = Consumer(self.bootstrap, security=self.security, **{**settings, **self.properties("consumer")})
        consumer.cluster.while_waiting = self._while_waiting
        return consumer

    def admin(self) -> Admin:
        from ev_cli.remembered import Names, RememberingAdmin

        settings = {"timeout_ms": self.timeout_ms, "request_timeout_ms": self.timeout_ms, **self.properties("admin")}
        names = Names(self.target)
        return RememberingAdmin(self.bootstrap, security=self.security, names=names, while_waiting=self._while_waiting, **settings)

    @property
    def patience(self) -> Patience:
        """What a person is told while its clients wait."""
        if self._patience is None:
            from ev_cli.patience import Patience

            self._patience = Patience(self)
        return self._patience

    def _while_waiting(self, cluster: Cluster) -> None:
        self.patience.look(cluster)

    def talk(self, text: str) -> None:
        """A remark on stderr, unless -q."""
        if not self.options.quiet:
            output.say(f"ev: {text}")


def target_of(options: Any) -> Target:
    """The engine that the options name, decided once; from then on they have the defaults of its context and of the project, too."""
    asked = (options.bootstrap, options.context, options.data_dir, options.listen, options.config_file)
    decided = options.target_decided
    if decided is None or decided[0] != asked:
        project = find_project()
        decided = options.target_decided = (asked, resolve(options, project))
        target = decided[1]
        if target.defaults or (project is not None and project.defaults):
            from ev_cli.defaults import LOOKS, apply

            if project is not None:
                apply(options, project.defaults, project.path, LOOKS)
            apply(options, target.defaults, target.place)
    found: Target = decided[1]
    return found


def resolve(options: Any, project: Project | None = None) -> Target:
    """Decide which engine is meant. Reads the environment, and files only when nothing else has decided."""
    environ = os.environ
    if options.config_file and not os.path.exists(options.config_file):
        raise UsageFailure(f"there is no configuration file {config_path(options)}")
    if options.bootstrap and options.context:
        raise UsageFailure("-b and -C name two engines", "give one of them")
    if options.bootstrap:
        return Target(options.bootstrap, with_ports(options.bootstrap))
    if options.context:
        return context_target(options.context, options)
    if options.data_dir or options.listen:
        return local_target(options)
    bootstrap, context = environ.get("EV_BOOTSTRAP"), environ.get("EV_CONTEXT")
    if bootstrap and context and not _is_at(context, bootstrap, options):
        raise UsageFailure("EV_BOOTSTRAP and EV_CONTEXT name two engines", "unset one of them")
    if context:
        return context_target(context, options)
    if bootstrap:
        return _local_at(bootstrap, options) or Target(bootstrap, with_ports(bootstrap))
    if environ.get("EV_DATA_DIR") or environ.get("EV_LISTEN"):
        return local_target(options)
    if project is not None and project.context is not None:
        target = context_target(project.context, options)
        target.chosen_by = project.path
        return target
    current = configuration(options).get("current")
    return context_target("local" if current is None else str(current), options)


def _is_at(context: str, bootstrap: str, options: Any) -> bool:
    """Whether these are the addresses of the context: a plug-in is told both."""
    try:
        return context_target(context, options).bootstrap == with_ports(bootstrap)
    except Failure:
        return False


def _local_at(bootstrap: str, options: Any) -> Target | None:
    """The local engine of EV_DATA_DIR, when EV_BOOTSTRAP is its address: `ev server exec` says both."""
    data_dir = os.environ.get("EV_DATA_DIR")
    if not data_dir:
        return None
    from ev_cli.local_engine import LocalEngine

    is_there = LocalEngine(os.path.abspath(data_dir), None, options).listening_address() == with_ports(bootstrap)
    return local_target(options) if is_there else None


def local_target(options: Any) -> Target:
    """The local engine that --data-dir and --listen, or EV_DATA_DIR and EV_LISTEN, name; else the one of the home directory."""
    listen = options.listen or os.environ.get("EV_LISTEN")
    data_dir = options.data_dir or os.environ.get("EV_DATA_DIR")
    return Target("local", None, data_dir or None, with_ports(listen) if listen else None)


def context_target(name: str, options: Any) -> Target:
    """What a context of the configuration names. `local`, which needs not stand there, is the local engine."""
    contexts = configuration(options).get("contexts", {})
    table = contexts.get(name) if isinstance(contexts, dict) else None
    if not isinstance(table, dict):
        if name == "local":
            return local_target(options)
        raise no_context(name, contexts)
    from ev_cli.contexts import Context

    found = Context(name, table, config_path(options) or "")
    if name == "local" and "bootstrap" not in table:
        target = local_target(options)
    else:
        target = Target(name, with_ports(found.bootstrap()), security=found.security())
    target.place = found.path
    target.protected, target.readonly, target.defaults = found.flag("protected"), found.flag("readonly"), found.defaults()
    return target


def no_context(name: str, contexts: Iterable[str]) -> Failure:
    """The failure of a name that no context has."""
    from ev_cli.naming import nearest

    known = sorted({*contexts, "local"})
    near = nearest(name, known)
    return Failure(f"no context {name!r}", f"did you mean {near!r}?" if near else f"there are {', '.join(known)}", code=NOT_FOUND)


def with_ports(addresses: str) -> str:
    return ",".join([_with_port(address.strip()) for address in addresses.split(",") if address.strip()])


def _with_port(address: str) -> str:
    if "://" in address:  # the name of a listener
        name, _, place = address.partition("://")
        return f"{name}://{_with_port(place)}"
    host, colon, port = address.rpartition(":")
    if not colon or port.endswith("]") or (":" in host and not host.endswith("]")):
        bare = f"[{address}]" if ":" in address and not address.startswith("[") else address
        return f"{bare}:{DEFAULT_PORT}"
    if not port.isdigit() or int(port) > 65535:
        raise UsageFailure(f"{address!r} is no address", "write HOST:PORT")
    return address


def config_path(options: Any) -> str | None:
    return os.path.abspath(options.config_file) if options.config_file else places.config_file()


def configuration(options: Any) -> dict[str, Any]:
    """The configuration file's content; empty when there is none. A file that was named must exist."""
    path = config_path(options)
    if path is None or not os.path.exists(path):
        if options.config_file:
            raise UsageFailure(f"there is no configuration file {path}")
        return {}
    return read_toml(path)


def server_configuration(options: Any) -> dict[str, Any]:
    """The configuration's [server] table: listen, advertise, data_dir, and the engine's settings under [server.settings]."""
    server = configuration(options).get("server", {})
    if not isinstance(server, dict):
        raise UsageFailure(f"server in {config_path(options)} is no table", "write [server]")
    return server


def configured_data_dir(options: Any) -> str | None:
    value = server_configuration(options).get("data_dir")
    return os.path.expanduser(str(value)) if value else None


def read_toml(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageFailure(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageFailure(f"{path} is no TOML: {error}") from None
