"""A broker with an authorizer, the same for the engine and for Apache Kafka, and two users of it who differ by their addresses.

Everybody is User:ANONYMOUS. An administrator asks from 127.0.0.1 and may do everything, the user asks from 127.0.0.2 and may do what a
test allows. The first ACLs are written while there are none, when `allow.everyone.if.no.acl.found` still lets everybody do so; they
are about every resource, so that from then on nothing is left for which no ACL is found.

    guarded.allow(Operation.READ, Resource.TOPIC, "t")
    guarded.user(FetchRequest(…), 11)
"""

from __future__ import annotations

from typing import Any, Final

from ev.broker.acls import Acl
from ev.wire.acls import CLUSTER_NAME, Operation, Pattern, Permission, Resource
from ev.wire.codec import Message
from ev.wire.messages.k29_describe_acls import DescribeAclsRequest
from ev.wire.messages.k30_create_acls import AclCreation, CreateAclsRequest
from ev.wire.messages.k31_delete_acls import DeleteAclsFilter, DeleteAclsRequest
from support.raw_client import RawClient
from support.raw_transactions import asked_over
from support.waiting import wait_for

SETTINGS: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "super.users": "User:root",
}
ANONYMOUS: Final = "User:ANONYMOUS"
ADMINISTRATORS_HOST: Final = "127.0.0.1"
USERS_HOST: Final = "127.0.0.2"
EVERYTHING: Final = {
    Resource.CLUSTER: CLUSTER_NAME,
    Resource.TOPIC: "*",
    Resource.GROUP: "*",
    Resource.TRANSACTIONAL_ID: "*",
}


class Guarded:
    """Such a broker."""

    administrator = ADMINISTRATORS_HOST
    user_host = USERS_HOST

    def __init__(self, address: str) -> None:
        self.address = address
        self.administrators_client = RawClient(address, source=self.administrator)
        self.users_client = RawClient(address, source=self.user_host)
        self._admin, self._user = asked_over(self.administrators_client), asked_over(self.users_client)

    def found(self) -> None:
        """Write the first ACLs."""
        first = [
            Acl(kind, name, Pattern.LITERAL, ANONYMOUS, self.administrator, Operation.ALL, Permission.ALLOW)
            for kind, name in EVERYTHING.items()
        ]
        wait_for(lambda: self.created(*first) == [0] * len(first), "the first ACLs")
        self._wait_until_there(*first)

    def admin(self, request: Message, version: int) -> Any:
        """The answer to the administrator."""
        return self._admin(request, version)

    def user(self, request: Message, version: int) -> Any:
        """The answer to the user."""
        return self._user(request, version)

    def allow(
        self, operation: int, kind: int, name: str = CLUSTER_NAME, *, pattern: int = Pattern.LITERAL, permission: int = Permission.ALLOW
    ) -> None:
        """Let the user do this."""
        acl = Acl(kind, name, pattern, ANONYMOUS, self.user_host, operation, permission)
        assert self.created(acl) == [0]
        self._wait_until_there(acl)

    def deny(self, operation: int, kind: int, name: str = CLUSTER_NAME) -> None:
        self.allow(operation, kind, name, permission=Permission.DENY)

    def created(self, *acls: Acl) -> list[int]:
        """CreateAcls; the error codes."""
        answer = self.admin(CreateAclsRequest(creations=[AclCreation(*acl) for acl in acls]), 3)
        return [result.error_code for result in answer.results]

    def described(self, **asked: Any) -> set[Acl]:
        """DescribeAcls; by default all of the user's."""
        answer = self.admin(DescribeAclsRequest(**fields({"host_filter": self.user_host, **asked})), 3)
        assert answer.error_code == 0, answer.error_message
        return {
            Acl(resource.resource_type, resource.resource_name, resource.pattern_type, *acl_fields(acl))
            for resource in answer.resources
            for acl in resource.acls
        }

    def forbid(self, **asked: Any) -> None:
        """DeleteAcls; by default all of the user's."""
        result = self.admin(
            DeleteAclsRequest(filters=[DeleteAclsFilter(**fields({"host_filter": self.user_host, **asked}))]), 3
        ).filter_results[0]
        assert result.error_code == 0, result.error_message
        wait_for(lambda: not self.described(**asked), "ACLs to be gone")

    def _wait_until_there(self, *acls: Acl) -> None:
        """Kafka answers before its broker knows."""
        hosts = {acl.host for acl in acls}
        wait_for(lambda: set(acls) <= set().union(*(self.described(host_filter=host) for host in hosts)), "ACLs to be there")

    def close(self) -> None:
        self.administrators_client.close()
        self.users_client.close()


def fields(asked: dict[str, Any]) -> dict[str, Any]:
    """A filter's fields: those that are not named fit everything, but the host is the user's."""
    everything = {
        "resource_type_filter": Resource.ANY,
        "resource_name_filter": None,
        "pattern_type_filter": Pattern.ANY,
        "principal_filter": None,
        "host_filter": USERS_HOST,
        "operation": Operation.ANY,
        "permission_type": Permission.ANY,
    }
    return {**everything, **asked}


def acl_fields(acl: Any) -> tuple[str, str, int, int]:
    return acl.principal, acl.host, acl.operation, acl.permission_type
