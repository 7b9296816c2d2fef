"""ev doctor: what is wrong with the local engine and its machine, or the way to a cluster? It looks, and changes nothing."""

from __future__ import annotations

import os
import time

import ev
from ev_cli import findings, output
from ev_cli.failures import DOCTOR, DONE, UNMET, Failure, as_failure
from ev_cli.findings import FAULT, OK, SKIPPED, Finding
from ev_cli.local_engine import LocalEngine, user_name
from ev_cli.properties import check
from ev_cli.protection import READS
from ev_cli.session import Session, with_ports
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ev.client import Security
    from ev.client.admin import Admin

CONNECT_WITHIN_S = 3.0
RECORDS_OF_PARTITIONS_MAX = 500
FILES_LOOKED_AT_MAX = 10_000


def diagnose(options: Any) -> int:
    """What the command line says wrong is no finding: it ends the command like any other."""
    for addresses in filter(None, (options.bootstrap, options.listen)):
        with_ports(addresses)
    if options.timeout:
        duration_ms(options.timeout, "--timeout")
    if options.set:
        check(options)
    table = output.Table(("check", "state", "message", "remedy"))
    table.rows += [finding._asdict() for finding in _everything(options)]
    faults = sum(row["state"] == FAULT for row in table.rows)
    output.show(table, options)
    if not options.quiet:
        output.say(f"ev: {faults} fault{'' if faults == 1 else 's'} in {len(table.rows)} checks")
    return UNMET if faults else DONE


def _everything(options: Any) -> Iterator[Finding]:
    try:
        session = Session(options, effect=READS)
    except Failure as failure:
        yield Finding("configuration", FAULT, failure.message, failure.hint)
        return
    if session.target.is_local:
        engine = session.engine
        yield from of_machine(engine)
        found = None if _is_foreign(engine) else engine.running()
        if found is not None:
            yield from of_cluster(str(found["address"]), None, session.timeout_ms, session.properties("admin"))
    else:
        assert session.target.bootstrap is not None
        yield from _told(lambda: of_cluster(session.bootstrap, session.security, session.timeout_ms, session.properties("admin")))
    yield from of_completions()


def _told(findings_of: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """A context that cannot be used is a finding, too: a password that nobody can tell, a file that is not there."""
    try:
        yield from findings_of()
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what was looked for
        failure = as_failure(error)
        yield Finding("configuration", FAULT, failure.message, failure.hint)


# -- this machine ----------------------------------------------------------------------------------------------------------------


def of_machine(engine: LocalEngine) -> Iterator[Finding]:
    place = _existing(engine.data_dir)
    found = os.stat(place)
    ours = os.geteuid() if hasattr(os, "geteuid") else found.st_uid
    if place == engine.data_dir:
        yield findings.owner(place, found.st_uid, ours, user_name(found.st_uid))
        yield findings.permissions(place, found.st_mode, writable=os.access(place, os.R_OK | os.W_OK | os.X_OK))
    else:
        yield Finding("owner", OK, f"{engine.data_dir} is not there yet")
        may = os.access(place, os.W_OK | os.X_OK)
        said = f"{engine.data_dir} can be made" if may else f"{engine.data_dir} cannot be made: {place} is not yours to write to"
        yield Finding("permissions", OK if may else FAULT, said, None if may else "name another directory: EV_DATA_DIR")
    room = os.statvfs(place)
    free_files = room.f_favail if room.f_files else -1
    read_only = bool(room.f_flag & os.ST_RDONLY)
    yield findings.disk(place, room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize, free_files, read_only=read_only)
    yield findings.file_system(os.path.realpath(place), _text_of("/proc/self/mountinfo"))
    now_ms = int(time.time() * 1000)
    newest = _newest(engine.data_dir)
    yield findings.clock(now_ms, *newest)
    running = None if _is_foreign(engine) else engine.running()
    yield _open_files(running)
    yield from _ports(engine, running)
    if running is not None:
        yield findings.version(str(running.get("version")), ev.__version__)
    else:
        yield Finding("version", OK, f"this is version {ev.__version__}, and no engine runs")


def _is_foreign(engine: LocalEngine) -> bool:
    try:
        engine.check_owner()
    except Failure:
        return True
    return False


def _existing(path: str) -> str:
    """The path, or the nearest directory above it that is there."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _newest(folder: str) -> tuple[int, str]:
    """When something below was last written, and what."""
    newest, path = 0, folder
    looked_at = 0
    for above, _, names in os.walk(folder):
        for name in names:
            looked_at += 1
            try:
                written = os.lstat(os.path.join(above, name)).st_mtime_ns // 1_000_000
            except OSError:
                continue
            if written > newest:
                newest, path = written, os.path.join(above, name)
        if looked_at > FILES_LOOKED_AT_MAX:
            break
    return newest, path


def _open_files(running: dict[str, Any] | None) -> Finding:
    """Of the engine that runs, else of one that would be started here: it takes as many as the hard limit allows."""
    if running is not None:
        for line in _text_of(f"/proc/{running.get('pid')}/limits").splitlines():
            if line.startswith("Max open files"):
                soft = line.split()[3]
                return findings.open_files(-1 if soft == "unlimited" else int(soft), "the engine")
    try:
        import resource
    except ImportError:
        return Finding("open files", SKIPPED, "this system has no such limit")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return findings.open_files(-1 if hard == resource.RLIM_INFINITY else hard, "an engine that is started here")


def _ports(engine: LocalEngine, running: dict[str, Any] | None) -> Iterator[Finding]:
    """Can the engine listen where it shall?"""
    if running is not None:
        yield Finding("port", OK, f"the engine listens at {running['address']}")
        return
    from ev.endpoints import find_endpoints
    from ev.errors import SettingError
    from ev.settings import Settings

    try:
        settings = Settings.from_mapping(engine.settings())
        endpoints = find_endpoints(engine.listen.split(",") if engine.listen else (), (), settings)
    except (SettingError, Failure) as error:
        yield Finding("settings", FAULT, str(error), "`ev explain SETTING` says which values there are")
        return
    for endpoint in endpoints:
        yield _port(*endpoint.address)


def _port(host: str, port: int) -> Finding:
    import errno
    import socket

    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    another = "name another with EV_LISTEN=HOST:PORT, or listen in the configuration"
    if port == 0:
        return Finding("port", OK, "any free port will do")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            trial.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Finding("port", FAULT, f"{address} is taken by another program", f"find it with `ss -ltnp`, or {another}")
        return Finding("port", FAULT, f"nobody can listen at {address}: {error.strerror}", another)
    return Finding("port", OK, f"{address} is free")


def of_completions() -> Iterator[Finding]:
    """Completions that were installed, and whether they are those of this version."""
    from ev_cli.actions.completion import place_of, script_for

    for shell in ("bash", "zsh", "fish", "powershell"):
        try:
            path, _ = place_of(shell, os.environ)
        except Failure:
            return
        text = _text_of(path)
        if text:
            yield findings.completions(shell, path, is_stale=text != script_for(shell))


# -- a cluster -------------------------------------------------------------------------------------------------------------------


def of_cluster(bootstrap: str, security: Security | None, timeout_ms: int, properties: dict[str, Any]) -> Iterator[Finding]:
    from ev.client.admin import Admin
    from ev.errors import AuthenticationError, EvError, SettingError, UnsupportedApiError

    answering = []
    for address in bootstrap.split(","):
        finding = _reachable("address", address, "is the broker running, and does a firewall let you there?")
        yield finding
        if finding.state == OK:
            answering.append(address)
            if security is not None and security.tls is not None:
                finding = _certificate(address, security)
                yield finding
                if finding.state == FAULT:
                    return
    if not answering:
        return
    try:
        settings = {"timeout_ms": timeout_ms, "request_timeout_ms": timeout_ms, **properties}
        with Admin(",".join(answering), security=security, **settings) as admin:
            brokers = admin.cluster().brokers
            yield Finding(
                "login", OK, "you are let in" if security is not None and security.sasl is not None else "nobody asks who you are"
            )
            for broker in brokers:
                yield _reachable(
                    "advertised address",
                    f"{broker.host}:{broker.port}",
                    f"broker {broker.node_id} tells its clients this address: set advertised.listeners (--advertise) to one they reach",
                )
            yield _record_clock(admin)
    except AuthenticationError as error:
        yield Finding("login", FAULT, str(error), "check username, password and mechanism: `ev context edit`, `ev user alter`")
    except SettingError as error:
        yield Finding("configuration", FAULT, str(error), "`ev context show` shows what is said of passwords and files")
    except UnsupportedApiError as error:
        yield Finding("version", FAULT, str(error), "update the broker, or take an older ev")
    except EvError as error:
        failure = as_failure(error)
        hint = None if failure.hint == DOCTOR else failure.hint
        yield Finding("protocol", FAULT, failure.message, hint or "does the listener speak what the context says (security)?")


def _reachable(check: str, address: str, remedy: str) -> Finding:
    import socket

    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_WITHIN_S):
            return Finding(check, OK, f"{address} can be reached")
    except OSError as error:
        return Finding(check, FAULT, f"{address} cannot be reached: {error.strerror or error}", remedy)


def _certificate(address: str, security: Security) -> Finding:
    """What the broker shows, by the rules of the context."""
    import socket
    import ssl

    from ev.client.tls import tls_context

    assert security.tls is not None
    host, _, port = address.rpartition(":")
    name = security.tls.server_name or host.strip("[]")
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_WITHIN_S) as plain,
            tls_context(security.tls).wrap_socket(plain, server_hostname=name) as encrypted,
        ):
            shown = encrypted.getpeercert()
    except ssl.SSLCertVerificationError as error:
        return findings.certificate(address, None, error.verify_message)
    except (OSError, ssl.SSLError) as error:
        return findings.certificate(address, None, error.strerror or str(error))
    end = shown.get("notAfter") if shown else None
    days = None if not isinstance(end, str) else (ssl.cert_time_to_seconds(end) - time.time()) / 86400
    return findings.certificate(address, days, None)


def _record_clock(admin: Admin) -> Finding:
    """Whether a record has a time that has not come yet."""
    from ev.errors import EvError

    try:
        partitions = [(topic.name, each.index) for topic in admin.topics() for each in topic.partitions][:RECORDS_OF_PARTITIONS_MAX]
        found = admin.list_offsets(dict.fromkeys(partitions, "max-timestamp")) if partitions else {}
    except EvError as error:
        return Finding("clock of records", SKIPPED, str(error))
    newest = max(((offset.timestamp, name) for (name, _), offset in found.items() if offset.error is None), default=(-1, ""))
    return findings.record_clock(int(time.time() * 1000), *newest)
