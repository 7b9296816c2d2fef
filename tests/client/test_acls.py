"""ACLs in words."""

from __future__ import annotations

from ev.client.acls import in_order
from ev.client.results import Acl


def test_acls_have_an_order() -> None:
    """By kind, name, pattern and principal, whatever the order in which a broker names them."""
    acls = [
        Acl("group", "g", "User:alice", "read"),
        Acl("topic", "a", "User:alice", "read", pattern="prefixed"),
        Acl("topic", "a", "User:alice", "write"),
        Acl("topic", "a", "User:bob", "read"),
        Acl("topic", "b", "User:alice", "all"),
    ]
    wanted = [str(acl) for acl in (acls[0], acls[2], acls[3], acls[1], acls[4])]
    assert [str(acl) for acl in in_order(acls)] == wanted
    assert [str(acl) for acl in in_order(reversed(acls))] == wanted
