"""What the settings of a listener say about security, made ready: the rules of SASL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.broker.sasl import SaslRules
from ev.security.plain import Passwords, Plain
from ev.security.scram import BY_NAME, NONCE_BYTES, Scram

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.broker import Broker
    from ev.endpoints import Endpoint
    from ev.security.exchange import Exchange
    from ev.security.scram import Mechanism
    from ev.settings import Settings

SECRET_BYTES: Final = 32


class Security:
    """The security of one listener. Raises SettingError where a setting does not say what is needed."""

    def __init__(self, broker: Broker, endpoint: Endpoint, settings: Settings) -> None:
        self.sasl = _sasl_rules(broker, settings) if endpoint.has_sasl else None


def _sasl_rules(broker: Broker, settings: Settings) -> SaslRules:
    broker.keep_secret(broker.clock.wall_ms())
    passwords = Passwords(broker.scram_users, broker.randomness.bytes(SECRET_BYTES))
    mechanisms: dict[str, Callable[[], Exchange]] = {}
    for name in settings.sasl_enabled_mechanisms:
        mechanisms[name] = (lambda: Plain(passwords)) if name == "PLAIN" else _scram(broker, BY_NAME[name])
    return SaslRules(
        broker.runtime,
        broker.clock,
        mechanisms,
        failure_delay_ms=settings.connection_failed_authentication_delay_ms,
        reauthentication_max_ms=settings.connections_max_reauth_ms,
        token_size_max=settings.sasl_server_max_receive_size,
    )


def _scram(broker: Broker, mechanism: Mechanism) -> Callable[[], Exchange]:
    return lambda: Scram(mechanism, broker.scram_users, broker.randomness.bytes(NONCE_BYTES))
