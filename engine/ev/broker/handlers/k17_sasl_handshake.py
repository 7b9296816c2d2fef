"""SaslHandshake (17): which mechanism the client is going to authenticate with, and which there are.

Versions 0-1. After version 0 the client sends its tokens as they are, without SaslAuthenticate around them. Where nobody has to
authenticate, or has just done so, the request fits no state; else it begins again what `ev.broker.sasl` describes
(SaslServerAuthenticator.handleHandshakeRequest, KafkaApis.handleSaslHandshakeRequest).

v1 SaslAuthenticate follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 17
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    sasl = call.connection.sasl
    if sasl is None or not sasl.may_begin(call.version):
        call.reply(SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE))
    else:
        sasl.begin(call)
