"""The Kafka client: producer, consumer and admin, for ev and for any Apache Kafka. The public names load on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.admin import Admin as Admin
    from ev.client.consumer import Consumer as Consumer
    from ev.client.producer import Producer as Producer
    from ev.client.security import Sasl as Sasl
    from ev.client.security import Security as Security
    from ev.client.security import Tls as Tls

__all__ = ["Admin", "Consumer", "Producer", "Sasl", "Security", "Tls"]


def __getattr__(name: str) -> object:
    if name == "Producer":
        from ev.client.producer import Producer

        return Producer
    if name == "Consumer":
        from ev.client.consumer import Consumer

        return Consumer
    if name == "Admin":
        from ev.client.admin import Admin

        return Admin
    if name in ("Sasl", "Security", "Tls"):
        from ev.client import security

        return getattr(security, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
