"""SaslAuthenticate (36): one message of the client to the mechanism that SaslHandshake named, answered with one of ours.

Versions 0-2. What comes outside of an exchange fits no state (SaslServerAuthenticator.handleSaslToken,
KafkaApis.handleSaslAuthenticateRequest).

v1 the answer says how long the session lasts; v2 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 36
VERSIONS = (0, 2)
TOO_LATE = "SaslAuthenticate request received after successful authentication"


def handle(broker: Broker, call: Call) -> None:
    request: SaslAuthenticateRequest = call.request
    sasl = call.connection.sasl
    if sasl is None or not sasl.in_exchange:
        call.reply(SaslAuthenticateResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE, error_message=TOO_LATE))
    else:
        sasl.take(bytes(request.auth_bytes), CallAnswer(call))


class CallAnswer:
    """The answers of an exchange, as SaslAuthenticate has them."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def message(self, data: bytes, session_lifetime_ms: int) -> None:
        self._call.reply(SaslAuthenticateResponse(auth_bytes=data, session_lifetime_ms=session_lifetime_ms))

    def refusal(self, message: str) -> None:
        self._call.reply(SaslAuthenticateResponse(error_code=ErrorCode.SASL_AUTHENTICATION_FAILED, error_message=message))
