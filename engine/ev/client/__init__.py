"""The Kafka client: producer, consumer and admin, for ev and for any Apache Kafka. The public names load on first use."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.admin import Admin as Admin
    from ev.client.consumer import Consumer as Consumer
    from ev.client.producer import Producer as Producer

__all__ = ["Admin", "Consumer", "Producer"]


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
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
