"""ApiVersions (18): which APIs are served, in which versions.

Versions 0-4. A version that we do not know is answered in the form of version 0 with UNSUPPORTED_VERSION and our versions of
this API alone; the client then asks again (the connection layer passes such a request as None).

Produce is advertised from version 0, though 0-2 are not served: librdkafka takes the range for the codecs that it may use and
would stop compressing (KAFKA-18659). The finalised features tell clients what they may do (see `ev.broker.features`).

v3 flexible, and the client says its name and version; v4 lets supported features begin at 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.broker.features import SUPPORTED
from ev.errors import ErrorCode
from ev.wire.messages.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 18
VERSIONS = (0, 4)

PRODUCE: Final = 0
SOFTWARE_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
ZERO_MINIMUM_FROM: Final = 4
"""Before this version clients take a feature that begins with level 0 for an error (KAFKA-17492)."""


def handle(broker: Broker, call: Call) -> None:
    request: ApiVersionsRequest | None = call.request
    if request is None:
        own = ApiVersion(api_key=KEY, min_version=VERSIONS[0], max_version=VERSIONS[1])
        call.reply(ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[own]))
    elif call.version >= 3 and not (_proper(request.client_software_name) and _proper(request.client_software_version)):
        call.reply(ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST, api_keys=[]))
    else:
        call.reply(
            ApiVersionsResponse(
                api_keys=_served(broker),
                supported_features=[
                    SupportedFeatureKey(name, low, high)
                    for name, (low, high) in SUPPORTED.items()
                    if low > 0 or call.version >= ZERO_MINIMUM_FROM
                ],
                finalized_features=[FinalizedFeatureKey(name, level, level) for name, level in broker.features],
                finalized_features_epoch=broker.features.epoch,
            ),
            broker.features_round,
        )


def _served(broker: Broker) -> list[ApiVersion]:
    return [
        ApiVersion(api_key=key, min_version=0 if key == PRODUCE else served.min_version, max_version=served.max_version)
        for key, served in sorted(broker.apis.items())
    ]


def _proper(text: str) -> bool:
    """Kafka's pattern for the name and version of a client: letters and digits, with '.' and '-' between them."""
    return bool(text) and SOFTWARE_CHARACTERS.issuperset(text) and text[0] not in ".-" and text[-1] not in ".-"
