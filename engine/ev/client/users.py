"""Users with SCRAM credentials, as an admin client sees and makes them: the password is salted here and does not travel."""

from __future__ import annotations

from ev.client.results import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.wire.messages.k50_describe_user_scram_credentials import DescribeUserScramCredentialsResult
    from ev.wire.messages.k51_alter_user_scram_credentials import ScramCredentialUpsertion

MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
"""Kafka's number and the hash of each."""
ITERATIONS = 16384
"""As many as Kafka takes."""
SALT_CHARACTERS = 26
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class UserDescription(Result):
    """A user, and the iterations of each mechanism that the user may authenticate with."""

    __slots__ = ("iterations", "name")

    def __init__(self, name: str, iterations: dict[str, int]) -> None:
        self.name = name
        self.iterations = iterations


def user_description(row: DescribeUserScramCredentialsResult) -> UserDescription:
    numbers = {number: name for name, (number, _) in MECHANISMS.items()}
    known = {numbers.get(info.mechanism, str(info.mechanism)): info.iterations for info in row.credential_infos}
    return UserDescription(row.user, dict(sorted(known.items())))


def upsertion(name: str, password: bytes, mechanism: str, iterations: int) -> ScramCredentialUpsertion:
    """What is sent to give a user this password. The salt looks like one of Kafka's tools, so that nobody can tell who made which user."""
    import hashlib  # noqa: PLC0415
    import secrets  # noqa: PLC0415

    from ev.wire.messages.k51_alter_user_scram_credentials import ScramCredentialUpsertion  # noqa: PLC0415

    number, hash_name = MECHANISMS[mechanism]
    salt = "".join(secrets.choice(LETTERS) for _ in range(SALT_CHARACTERS)).encode()
    return ScramCredentialUpsertion(name, number, iterations, salt, hashlib.pbkdf2_hmac(hash_name, password, salt, iterations))
