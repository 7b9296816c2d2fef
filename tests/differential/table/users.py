"""Users and their credentials; and authentication where there is none."""

from __future__ import annotations

from typing import Any

from differential.conversation import Own, Step, Steps, about
from ev.errors import ErrorCode
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeRequest
from ev.wire.messages.k36_sasl_authenticate import SaslAuthenticateRequest
from ev.wire.messages.k50_describe_user_scram_credentials import DescribeUserScramCredentialsRequest, UserName
from ev.wire.messages.k51_alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)

SHA_256, SHA_512 = 1, 2


def upserted(name: str, mechanism: int = SHA_256, iterations: int = 4096) -> ScramCredentialUpsertion:
    return ScramCredentialUpsertion(name, mechanism, iterations, b"a salt", bytes(32 * mechanism))


def altered(*changes: ScramCredentialUpsertion | ScramCredentialDeletion) -> AlterUserScramCredentialsRequest:
    deletions = [change for change in changes if isinstance(change, ScramCredentialDeletion)]
    return AlterUserScramCredentialsRequest(deletions, [change for change in changes if isinstance(change, ScramCredentialUpsertion)])


def there(count: int) -> Any:
    """Until so many users are there: what was altered is seen a little later."""
    return lambda answer: sum(each.error_code != ErrorCode.RESOURCE_NOT_FOUND for each in answer.results) == count


@about(17, "nobody has to say who they are")
def no_handshake(version: int, own: Own) -> Steps:
    yield Step(SaslHandshakeRequest("PLAIN"), version)


@about(36, "nobody has to say who they are")
def no_authentication(version: int, own: Own) -> Steps:
    yield Step(SaslAuthenticateRequest(b"\0alice\0secret"), version)


@about(50, "users")
def users(version: int, own: Own) -> Steps:
    asked = DescribeUserScramCredentialsRequest([UserName(own("a")), UserName(own("b"))])
    yield Step(altered(upserted(own("a")), upserted(own("b"), SHA_512, 16384)), 0)
    yield Step(asked, version, until=there(2))
    yield Step(DescribeUserScramCredentialsRequest(users=None), version, everything=True)
    yield Step(DescribeUserScramCredentialsRequest([]), version, everything=True)
    yield Step(altered(ScramCredentialDeletion(own("a"), SHA_256)), 0)
    yield Step(asked, version, until=there(1))


@about(50, "users that are not there, and one twice")
def no_users(version: int, own: Own) -> Steps:
    yield Step(DescribeUserScramCredentialsRequest([UserName(own("a")), UserName(own("b")), UserName(own("b")), UserName("")]), version)


@about(51, "users come, change and go")
def changed_users(version: int, own: Own) -> Steps:
    asked = DescribeUserScramCredentialsRequest([UserName(own("a"))])
    yield Step(altered(upserted(own("a")), upserted(own("b"))), version)
    yield Step(altered(upserted(own("a"), SHA_512)), version)
    yield Step(asked, 0, until=lambda answer: len(answer.results[0].credential_infos) == 2)
    yield Step(altered(ScramCredentialDeletion(own("a"), SHA_256), ScramCredentialDeletion(own("b"), SHA_256)), version)
    yield Step(asked, 0, until=lambda answer: len(answer.results[0].credential_infos) == 1)
    yield Step(altered(ScramCredentialDeletion(own("b"), SHA_256)), version)
    yield Step(altered(), version)


@about(51, "what is refused")
def refused_users(version: int, own: Own) -> Steps:
    yield Step(altered(upserted(own("few"), iterations=4095), upserted(own("many"), iterations=16385)), version)
    yield Step(altered(upserted(own("kind"), 0), upserted(own("other"), 3), upserted("")), version)
    yield Step(altered(ScramCredentialDeletion(own("gone"), SHA_256), ScramCredentialDeletion(own("kind"), 7)), version)
    yield Step(altered(upserted(own("twice")), upserted(own("twice"), SHA_512), upserted(own("once"))), version)
    yield Step(altered(ScramCredentialDeletion(own("both"), SHA_256), upserted(own("both"))), version)
