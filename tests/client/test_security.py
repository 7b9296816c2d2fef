"""The client at brokers that want to know who it is, or encrypt: every listener, every mechanism, and each way to be refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ev.client import Admin, Consumer, Producer, Sasl, Security, Tls
from ev.client.results import NewTopic
from ev.client.transport import Transport, open_transport
from ev.errors import AuthenticationError, SettingError, UnreachableError
from support.all_listeners import SESSION_MS, AllListeners
from support.secure_brokers import PASSWORD, USER

SCRAMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
MECHANISMS = ("PLAIN", *SCRAMS, "OAUTHBEARER")


def sasl(listeners: AllListeners, mechanism: str, **changes: Any) -> Sasl:
    if mechanism == "OAUTHBEARER":
        return Sasl(mechanism, **{"token": listeners.token, **changes})
    return Sasl(mechanism, **{"username": USER, "password": PASSWORD, **changes})


def look(address: str, security: Security | None) -> None:
    """Ask for what needs a broker that lets us in."""
    with Admin(address, security=security, timeout_ms=20_000, request_timeout_ms=20_000) as admin:
        admin.topics()


def refused(address: str, security: Security | None) -> str:
    """What AuthenticationError says; it comes at once, and in one line."""
    began = time.monotonic()
    with pytest.raises(AuthenticationError) as raised:
        look(address, security)
    assert time.monotonic() - began < 10
    assert "\n" not in str(raised.value)
    return str(raised.value)


def poll_for(consumer: Consumer, duration_s: float) -> None:
    give_up = time.monotonic() + duration_s
    while time.monotonic() < give_up:
        consumer.poll(200)


class Counting:
    """Makes transports, and counts them."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self, address: Any, host: str) -> Transport:
        self.opened += 1
        return open_transport(address, host)


@pytest.mark.parametrize("encrypted", [False, True], ids=["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_records_go_in_and_come_out(listeners: AllListeners, mechanism: str, encrypted: bool, fresh: Callable[[str], str]) -> None:
    """Producer, consumer in a group with its heartbeats, and admin: each connection says who it is."""
    address = listeners.sasl_tls if encrypted else listeners.sasl
    security = Security(Tls(ca=listeners.ca) if encrypted else None, sasl(listeners, mechanism))
    topic, values = fresh("topic"), [b"%d" % number * 100 for number in range(2_000)]
    with Admin(address, security=security) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])[0].or_raise()
    with Producer(address, security=security, batch_bytes=20_000) as producer:
        producer.produce_many(topic, values)
        assert producer.flush(30_000) == 0
        assert {delivery.error for delivery in producer.poll()} == {None}
    with Consumer(address, group=topic, security=security, heartbeat_interval_ms=100) as consumer:
        consumer.subscribe([topic])
        found: list[bytes | None] = []
        give_up = time.monotonic() + 30
        while len(found) < len(values) and time.monotonic() < give_up:
            found += [record.value for record in consumer.poll(1_000)]
        assert found == values
        consumer.commit()


def test_large_answers_come_over_tls(listeners: AllListeners, fresh: Callable[[str], str]) -> None:
    """Megabytes in one request and in one answer, in both directions at once."""
    security = Security(Tls(ca=listeners.ca))
    topic, value = fresh("topic"), bytes(range(256)) * 3_600
    with Producer(listeners.tls, security=security, create_topics=True) as producer:
        producer.produce_many(topic, [value] * 20)
        assert producer.flush(60_000) == 0
    with Consumer(listeners.tls, security=security) as consumer:
        consumer.assign([(topic, 0)])
        found: list[bytes | None] = []
        give_up = time.monotonic() + 60
        while len(found) < 20 and time.monotonic() < give_up:
            found += [record.value for record in consumer.poll(1_000)]
    assert found == [value] * 20


@pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAMS])
def test_a_wrong_password_and_an_unknown_user_are_final(listeners: AllListeners, mechanism: str) -> None:
    """One line with the name and what to do, and nothing of the password."""
    for changes in ({"password": "open-sesame"}, {"username": "mallory", "password": "open-sesame"}):
        said = refused(listeners.sasl, Security(sasl=sasl(listeners, mechanism, **changes)))
        assert repr(changes.get("username", USER)) in said
        assert "check username, password" in said
        assert "sesame" not in said


def test_a_wrong_token_is_final(listeners: AllListeners) -> None:
    """The broker says that it refuses only after one more message; none of it holds the token."""
    said = refused(listeners.sasl, Security(sasl=sasl(listeners, "OAUTHBEARER", token="no.such.token")))
    assert "refused the token" in said
    assert "such" not in said


def test_sasl_where_there_is_none_is_final(listeners: AllListeners) -> None:
    """With the advice to leave it out."""
    assert "leave sasl out" in refused(listeners.open, Security(sasl=sasl(listeners, "PLAIN")))


def test_a_certificate_shows_who_the_client_is(listeners: AllListeners) -> None:
    """Where the broker insists on one, a client without it is told so."""
    own = Tls(ca=listeners.ca, cert=str(listeners.client.chain), key=str(listeners.client.key))
    look(listeners.mutual, Security(own))
    look(listeners.mutual, Security(Tls(ca=listeners.ca, cert=str(listeners.client.keystore))))
    with pytest.raises((AuthenticationError, UnreachableError), match="certificate of the client"):  # not every TLS says what it misses
        look(listeners.mutual, Security(Tls(ca=listeners.ca)))


def test_the_name_in_the_certificate_is_checked(listeners: AllListeners) -> None:
    """By address or name; another one has to be said."""
    look(listeners.tls.replace("127.0.0.1", "localhost"), Security(Tls(ca=listeners.ca)))
    assert "server_name" in refused(listeners.strange, Security(Tls(ca=listeners.ca)))
    look(listeners.strange, Security(Tls(ca=listeners.ca, server_name="elsewhere.example")))


def test_an_expired_certificate_is_not_accepted(listeners: AllListeners) -> None:
    """Unless somebody insists."""
    said = refused(listeners.expired, Security(Tls(ca=listeners.ca)))
    assert "expired" in said
    assert "renewed" in said
    look(listeners.expired, Security(Tls(insecure=True)))


def test_an_authority_that_nobody_named_is_not_trusted(listeners: AllListeners) -> None:
    """The system's own do not know this one."""
    assert "give its certificate as ca" in refused(listeners.tls, Security(Tls()))


@pytest.mark.parametrize(
    ("where", "said"), [("plain", "may not speak TLS"), ("tls", "TLS"), ("sasl", "it may want SASL")], ids=["TLS", "no TLS", "no SASL"]
)
def test_the_wrong_kind_of_listener_is_named(listeners: AllListeners, where: str, said: str) -> None:
    """TLS where there is none, none where there is, nobody where somebody is expected."""
    address = {"plain": listeners.open, "tls": listeners.tls, "sasl": listeners.sasl}[where]
    with pytest.raises(UnreachableError, match=said):
        look(address, Security(Tls(ca=listeners.ca)) if where == "plain" else None)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_the_client_authenticates_again_before_the_session_ends(
    listeners: AllListeners, mechanism: str, fresh: Callable[[str], str]
) -> None:
    """Requests are always under way when a session ends; each is answered, once, and no connection is lost."""
    transports, topic, sent = Counting(), fresh("topic"), 0
    security = Security(sasl=sasl(listeners, mechanism))
    with Producer(listeners.sessions, security=security, create_topics=True, linger_ms=0, open_transport=transports) as producer:
        producer.partitions(topic)
        give_up = time.monotonic() + 1.5 * SESSION_MS / 1000
        errors = set()
        while time.monotonic() < give_up:
            producer.produce(topic, b"%d" % sent)
            sent += 1
            errors |= {delivery.error for delivery in producer.poll(2)}
        assert producer.flush(20_000) == 0
        errors |= {delivery.error for delivery in producer.poll()}
    assert errors == {None}
    assert transports.opened == 1
    with Consumer(listeners.open) as consumer:
        consumer.assign([(topic, 0)])
        assert consumer.end_offsets([(topic, 0)]) == {(topic, 0): sent}


def test_transactions_go_on_from_session_to_session(listeners: AllListeners, fresh: Callable[[str], str]) -> None:
    """Each is committed whole, whenever its coordinator and leaders want to know again who asks."""
    topic, count = fresh("topic"), 0
    security = Security(sasl=sasl(listeners, "SCRAM-SHA-512"))
    with Producer(listeners.sessions, security=security, create_topics=True, transactional_id=topic) as producer:
        producer.init_transactions()
        give_up = time.monotonic() + 1.5 * SESSION_MS / 1000
        while time.monotonic() < give_up:
            with producer.transaction():
                producer.produce_many(topic, [b"%d" % count, b"%d" % (count + 1)])
            count += 2
    with Consumer(listeners.sasl, security=security, isolation="read_committed") as consumer:
        consumer.assign([(topic, 0)])
        found: list[bytes | None] = []
        give_up = time.monotonic() + 30
        while len(found) < count and time.monotonic() < give_up:
            found += [record.value for record in consumer.poll(500)]
    assert found == [b"%d" % number for number in range(count)]


def test_long_polls_go_on_from_session_to_session(listeners: AllListeners, fresh: Callable[[str], str]) -> None:
    """A consumer in a group that has nothing to read keeps its connections."""
    transports, topic = Counting(), fresh("topic")
    with Admin(listeners.open) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])[0].or_raise()
    security = Security(sasl=sasl(listeners, "SCRAM-SHA-256"))
    with Consumer(listeners.sessions, group=topic, security=security, heartbeat_interval_ms=200, open_transport=transports) as consumer:
        consumer.subscribe([topic])
        while not consumer.assignment():
            consumer.poll(200)
        consumer.poll(500)
        opened, give_up = transports.opened, time.monotonic() + 1.5 * SESSION_MS / 1000
        while time.monotonic() < give_up:
            consumer.poll(500)
        assert transports.opened == opened


def test_credentials_that_are_withdrawn_end_the_matter(listeners: AllListeners, fresh: Callable[[str], str]) -> None:
    """At the next authentication: what waits fails with the reason, it does not wait for the delivery timeout."""
    passwords = [PASSWORD]
    security = Security(sasl=Sasl("SCRAM-SHA-256", USER, lambda: passwords[0]))
    with Producer(listeners.sessions, security=security, create_topics=True, linger_ms=0) as producer:
        topic = fresh("topic")
        producer.produce(topic, b"one")
        assert producer.flush(20_000) == 0
        passwords[0] = "another"
        time.sleep(SESSION_MS / 1000)
        producer.poll()
        producer.produce(topic, b"two")
        assert producer.flush(20_000) == 0
        (delivery,) = producer.poll()
        assert isinstance(delivery.error, AuthenticationError)
    passwords[0] = PASSWORD
    with Consumer(listeners.sessions, group=topic, security=security, heartbeat_interval_ms=200) as member:
        member.subscribe([topic])
        while not member.assignment():
            member.poll(200)
        passwords[0] = "another"
        with pytest.raises(AuthenticationError):
            poll_for(member, 20)
    with Consumer(listeners.sasl, security=Security(sasl=Sasl("PLAIN", USER, "wrong"))) as consumer:
        consumer.assign([(topic, 0)])
        with pytest.raises(AuthenticationError):
            poll_for(consumer, 10)


def test_one_attempt_is_made_with_a_wrong_password(listeners: AllListeners) -> None:
    """Brokers that lock users out after some attempts do not count any more of ours."""
    transports = Counting()
    with Producer(listeners.sasl, security=Security(sasl=Sasl("PLAIN", USER, "wrong")), open_transport=transports) as producer:
        with pytest.raises(AuthenticationError):
            producer.partitions("t", timeout_ms=10_000)
        assert transports.opened <= 2  # the producer id is asked for at the same time
        assert producer.cluster.metadata.version == 0


def test_passwords_are_not_shown_to_others_without_a_wish(listeners: AllListeners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS, and off loopback, it has to be said that this shall be so."""
    monkeypatch.setattr("ev.client.authentication.is_loopback", lambda host: False)
    for mechanism in MECHANISMS:
        with pytest.raises(SettingError, match="without TLS"):
            look(listeners.sasl, Security(sasl=sasl(listeners, mechanism)))
    look(listeners.sasl, Security(sasl=sasl(listeners, "PLAIN", unencrypted=True)))
    look(listeners.sasl_tls, Security(Tls(ca=listeners.ca), sasl(listeners, "PLAIN")))
