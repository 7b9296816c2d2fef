"""TLS of a real engine: which versions, which certificates, whose names, and what happens when the files change."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from ev.security.credentials import SCRAM_SHA_256, credential_from
from ev.wire.messages.k03_metadata import MetadataRequest
from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult
from support.certificates import Authority
from support.engine import Engine, NotReadyError
from support.ports import free_port
from support.raw_client import RawClient
from support.sasl import log_in, upsertion
from support.secure_brokers import PASSWORD, USER, SecureBroker, secure_engine, tls_settings
from support.simulated_disk import SimulatedDisk
from support.threaded_broker import ThreadedBroker
from support.waiting import wait_for

StartEngine = Callable[..., Engine]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[SecureBroker]:
    with secure_engine(tmp_path_factory.mktemp("engine") / "data", authority=authority) as broker:
        yield broker


class TlsClient(RawClient):
    """A raw client over TLS."""

    def __init__(self, address: str, authority: Authority, certificate: str | None = None, highest: ssl.TLSVersion | None = None) -> None:
        super().__init__(address)
        context = ssl.create_default_context(cafile=authority.certificate)
        if highest is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = highest
        if certificate is not None:
            context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    @property
    def server_certificate(self) -> bytes:
        assert isinstance(self.socket, ssl.SSLSocket)
        return self.socket.getpeercert(binary_form=True) or b""


def secured(settings: dict[str, str], protocol: str = "SSL") -> ThreadedBroker:
    """The server's own parts, which can be asked who their clients are."""
    return ThreadedBroker(SimulatedDisk(["/data"]), settings, protocol=protocol)


def is_served(client: RawClient) -> bool:
    return bool(client.ask(3, 9, MetadataRequest(topics=[])).brokers)


@pytest.mark.parametrize(
    ("auth", "subject", "principal"),
    [
        ("required", "/O=Example/OU=events/CN=alice", "User:alice"),
        ("requested", "/O=Example/CN=alice", "User:CN=alice,O=Example"),
        ("requested", None, "User:ANONYMOUS"),
        ("none", "/O=Example/CN=alice", "User:ANONYMOUS"),
    ],
)
def test_a_client_is_who_its_certificate_says(authority: Authority, auth: str, subject: str | None, principal: str) -> None:
    """By the rules; whoever shows none, or is not asked for one, is nobody in particular."""
    certificate = None if subject is None else str(authority.issue(f"client-{auth}", subject).keystore)
    settings = {**tls_settings(authority, "principals"), "ssl.client.auth": auth}
    with secured(settings) as broker, TlsClient(broker.address, authority, certificate) as client:
        assert is_served(client)
        assert broker.principals() == [principal]


def test_a_certificate_that_no_rule_applies_to_is_refused(authority: Authority) -> None:
    """There is no name for who shows it."""
    certificate = str(authority.issue("unnamed", "/CN=alice").keystore)
    settings = {**tls_settings(authority, "unnamed"), "ssl.principal.mapping.rules": "RULE:^OU=(.*)$/$1/"}
    with secured(settings) as broker, TlsClient(broker.address, authority, certificate) as client:
        assert client.closed()


def test_with_a_password_inside_the_certificate_is_not_who_the_client_is(authority: Authority) -> None:
    """The user of the exchange is; a certificate is asked for only where this listener says so."""
    certificate = str(authority.issue("inside", "/CN=alice").keystore)
    settings = tls_settings(authority, "inside-server")
    with secured(settings, "SASL_SSL") as broker:
        made = upsertion("bob", "secret", "SCRAM-SHA-256")
        credential = credential_from(SCRAM_SHA_256, made.salted_password, made.salt, made.iterations)
        broker.on_loop(lambda: broker.broker.alter_users({"bob": {"SCRAM-SHA-256": credential}}, 0))
        with TlsClient(broker.address, authority, certificate) as client:
            assert log_in(client, "SCRAM-SHA-256", "bob", "secret").error_code == 0
            assert is_served(client)
            assert broker.principals() == ["User:bob"]


def test_clients_of_a_listener_are_told_its_address(broker: SecureBroker, authority: Authority) -> None:
    """Whoever came over TLS is not sent to where there is none."""
    with TlsClient(broker.tls, authority) as client:
        (told,) = client.ask(3, 9, MetadataRequest(topics=[])).brokers
    assert f"{told.host}:{told.port}" == broker.tls


@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_of_today_are_spoken(broker: SecureBroker, authority: Authority, highest: ssl.TLSVersion) -> None:
    """1.2 and 1.3."""
    with TlsClient(broker.tls, authority, highest=highest) as client:
        assert is_served(client)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_versions_are_not(broker: SecureBroker, authority: Authority) -> None:
    """Nor is clear text taken for a handshake."""
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsClient(broker.tls, authority, highest=ssl.TLSVersion.TLSv1_1)
    with RawClient(broker.tls) as client, contextlib.suppress(OSError):
        client.send(client.frame(3, 9, MetadataRequest(topics=[])))
        assert b"brokers" not in client.socket.recv(1000)


def test_one_version_may_be_all(start_engine: StartEngine, authority: Authority) -> None:
    """ssl.enabled.protocols of this listener."""
    server = authority.issue("newest", "/CN=localhost")
    settings = {"ssl.keystore.location": str(server.keystore), "listener.name.ssl.ssl.enabled.protocols": "TLSv1.3"}
    engine = start_engine(listen="SSL://127.0.0.1:0", settings=settings)
    with TlsClient(engine.address, authority) as client:
        assert is_served(client)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsClient(engine.address, authority, highest=ssl.TLSVersion.TLSv1_2)


def test_failed_handshakes_are_said_and_are_no_noise(start_engine: StartEngine, authority: Authority) -> None:
    """What is no TLS, or what the client does not trust, is a line with the reason: the first, the second, the fourth, … No traceback."""
    server = authority.issue("log", "/CN=localhost")
    engine = start_engine(listen="SSL://127.0.0.1:0", settings={"ssl.keystore.location": str(server.keystore)})
    for _ in range(3):
        with RawClient(engine.address) as client, contextlib.suppress(OSError):
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            client.socket.recv(1000)
        with contextlib.suppress(OSError), socket.create_connection((engine.host, engine.port)):
            pass
    with pytest.raises(ssl.SSLError), socket.create_connection((engine.host, engine.port)) as bare:
        ssl.create_default_context().wrap_socket(bare, server_hostname="localhost")
    with TlsClient(engine.address, authority) as client:
        assert is_served(client)
    wait_for(lambda: "the 4. time so far: " in engine.log(), "the fourth failure to be said")
    said = [line for line in engine.log().splitlines() if "TLS with 127.0.0.1 failed" in line]
    assert ["http request" in said[0], "unknown ca" in said[-1], len(said)] == [True, True, 3]
    assert "Traceback" not in engine.log()


def test_who_does_not_finish_a_handshake_counts_as_a_connection(start_engine: StartEngine, authority: Authority) -> None:
    """Silent clients cannot be more than all connections may be; when one goes, the next is served."""
    server = authority.issue("counted", "/CN=localhost")
    settings = {"ssl.keystore.location": str(server.keystore), "max.connections": "3"}
    engine = start_engine(listen="SSL://127.0.0.1:0", settings=settings)
    silent = [RawClient(engine.address) for _ in range(3)]
    with RawClient(engine.address) as refused:
        assert refused.closed()
    silent.pop().close()

    def served() -> bool:
        try:
            with TlsClient(engine.address, authority) as client:
                return is_served(client)
        except OSError:
            return False

    wait_for(served, "a place to be free again")
    for client in silent:
        client.close()
    assert wait_for(served, "the places to be free again")


def test_password_and_tls_together(broker: SecureBroker, authority: Authority) -> None:
    """SASL inside; who does not say who they are is not served there either."""
    with TlsClient(broker.sasl_tls, authority) as client:
        assert log_in(client, "PLAIN", USER, PASSWORD).error_code == 0
        assert is_served(client)
    with TlsClient(broker.sasl_tls, authority) as client:
        client.send(client.frame(3, 9, MetadataRequest(topics=[])))
        assert client.closed()


def test_the_certificate_is_renewed_while_it_runs(tmp_path: pathlib.Path, authority: Authority) -> None:
    """At SIGHUP, and when the files have changed; connections that are there go on, and a file that cannot be used changes nothing."""
    with secure_engine(tmp_path / "data", authority=authority) as broker:
        engine = broker.engine
        assert engine is not None
        keystore = authority.directory / "server.pem"

        def shown() -> bytes:
            with TlsClient(broker.tls, authority) as client:
                assert is_served(client)
                return client.server_certificate

        with TlsClient(broker.tls, authority) as staying:
            first = shown()
            replace(keystore, authority.issue("renewed", "/CN=localhost").keystore.read_bytes())
            os.kill(engine.pid, signal.SIGHUP)
            wait_for(lambda: shown() != first, "the new certificate", 10)
            second = shown()
            replace(keystore, b"nonsense")
            os.kill(engine.pid, signal.SIGHUP)
            wait_for(lambda: "keeps the certificates and keys that it has" in engine.log(), "the complaint", 10)
            assert shown() == second
            replace(keystore, authority.issue("third", "/CN=localhost").keystore.read_bytes())
            wait_for(lambda: shown() not in (first, second), "the file to be looked at", 15)
            assert is_served(staying)
            assert staying.server_certificate == first
        with RawClient(broker.open) as client:
            assert is_served(client)


def replace(path: pathlib.Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.chmod(0o600)
    new.replace(path)


def refusal(start_engine: StartEngine, settings: dict[str, str], listen: str = "SSL://127.0.0.1:0") -> str:
    """What the daemon says when it does not start."""
    with pytest.raises(NotReadyError) as refused:
        start_engine(listen=listen, settings=settings)
    said = str(refused.value).splitlines()[0]
    assert "failed 1" in said
    return said


def test_wrong_files_are_named(start_engine: StartEngine, authority: Authority, tmp_path: pathlib.Path) -> None:
    """Which setting, which file, and what is wrong with it; in one line."""
    server, other = authority.issue("right", "/CN=localhost"), authority.issue("other", "/CN=other")
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(server.chain.read_text() + other.key.read_text())
    broken = tmp_path / "broken.pem"
    broken.write_text(server.keystore.read_text().replace("M", "!"))
    location = "ssl.keystore.location"
    for settings, words in (
        ({}, "give ssl.keystore.location"),
        ({location: "server.pem"}, "expected the full path"),
        ({location: str(tmp_path / "absent.pem")}, "absent.pem: No such file or directory"),
        ({location: str(server.chain)}, "holds no private key"),
        ({location: str(server.key)}, "holds no certificate"),
        ({location: str(mixed)}, "the key is not that of the certificate"),
        ({location: str(broken)}, "does not parse as PEM"),
        ({location: str(server.keystore), "ssl.client.auth": "required"}, "give ssl.truststore.location"),
        ({location: str(server.keystore), "ssl.principal.mapping.rules": "RULE:"}, "expected DEFAULT or RULE:"),
        ({location: str(server.keystore), "ssl.keystore.key": str(server.key)}, "ssl.keystore.certificate.chain and .key"),
    ):
        assert words in refusal(start_engine, settings), settings


def test_an_encrypted_key_needs_its_password(start_engine: StartEngine, authority: Authority) -> None:
    """Nobody is asked for one: without it, or with a wrong one, the engine says so. Whoever asks for settings is not shown it."""
    encrypted = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-passout", "pass:secret")
    server = authority.issue("encrypted", "/CN=localhost", key=encrypted)
    settings = {"ssl.keystore.location": str(server.keystore)}
    assert "is encrypted; give ssl.key.password" in refusal(start_engine, settings)
    assert "ssl.key.password does not open the key" in refusal(start_engine, settings | {"ssl.key.password": "wrong"})
    engine = start_engine(listen="SSL://127.0.0.1:0", settings=settings | {"ssl.key.password": "secret"})
    with TlsClient(engine.address, authority) as client:
        assert is_served(client)
        assert {config.value for config in described(client, "ssl.key.password")} == {None}


def described(client: RawClient, name: str) -> list[DescribeConfigsResourceResult]:
    """One of the broker's settings as a client is shown it."""
    resource = DescribeConfigsResource(resource_type=4, resource_name="1", configuration_keys=[name])
    results = client.ask(32, 4, DescribeConfigsRequest(resources=[resource])).results
    return [config for result in results for config in result.configs]


def test_certificate_and_key_may_be_texts_or_files_of_their_own(start_engine: StartEngine, authority: Authority) -> None:
    """Kafka's settings for the text take the path of a file too; whoever asks for settings is not shown the key."""
    server = authority.issue("two", "/CN=localhost")
    for chain, key in ((str(server.chain), str(server.key)), (server.chain.read_text(), server.key.read_text())):
        settings = {"ssl.keystore.certificate.chain": chain, "ssl.keystore.key": key}
        engine = start_engine(listen="SSL://127.0.0.1:0", settings=settings)
        with TlsClient(engine.address, authority) as client:
            assert is_served(client)


def test_a_key_that_others_may_read_is_warned_of(start_engine: StartEngine, authority: Authority) -> None:
    """It is used all the same."""
    server = authority.issue("readable", "/CN=localhost")
    server.keystore.chmod(0o644)
    engine = start_engine(listen="SSL://127.0.0.1:0", settings={"ssl.keystore.location": str(server.keystore)})
    assert "others than its owner may read the key" in engine.log()


def test_others_may_reach_a_listener_that_authenticates_over_tls(start_engine: StartEngine, authority: Authority) -> None:
    """Without --insecure: passwords or certificates over TLS. Passwords in clear, or TLS that asks for nothing, need it still."""
    server = authority.issue("exposed", "/CN=localhost")
    settings = {"ssl.keystore.location": str(server.keystore), "ssl.truststore.location": str(authority.certificate)}
    for listen, extra in (("SASL_SSL://0.0.0.0:0", {}), ("SSL://0.0.0.0:0", {"ssl.client.auth": "required"})):
        engine = start_engine(listen=listen, settings=settings | extra)
        assert "whoever reaches this address" not in engine.log()
    for listen in ("SASL_PLAINTEXT://0.0.0.0:0", "SSL://0.0.0.0:0", "PLAINTEXT://0.0.0.0:0"):
        with pytest.raises(NotReadyError, match="failed 2 refused to listen on"):
            start_engine(listen=listen, settings=settings)


def test_a_listener_that_is_open_is_where_the_engine_says_that_it_is(start_engine: StartEngine, authority: Authority) -> None:
    """The commands of this machine find the door that needs no key, if there is one."""
    server = authority.issue("first", "/CN=localhost")
    port = free_port()
    engine = start_engine(
        listen="SSL://127.0.0.1:0",
        settings={"ssl.keystore.location": str(server.keystore)},
        arguments=["--listen", f"127.0.0.1:{port}"],
    )
    assert engine.address == f"127.0.0.1:{port}"


@pytest.mark.slow
def test_who_takes_too_long_for_a_handshake_is_closed(broker: SecureBroker) -> None:
    """Ten seconds."""
    started = time.monotonic()
    with RawClient(broker.tls) as silent:
        assert silent.closed()
    assert 9 < time.monotonic() - started < 16
