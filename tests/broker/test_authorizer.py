"""Kafka's rules of who may do what, against a model that has no index and remembers nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.broker.acls import Acl, AclFilter, Acls, read_acl_key
from ev.broker.authorizer import Authorizer
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation, Pattern, Permission, Resource
from support.acl_model import TOPIC_OPERATIONS, model_allows

ALICE, BOB, ROOT = "User:alice", "User:bob", "User:root"
HERE, THERE = "10.0.0.1", "10.0.0.2"

names = st.text("ab*", min_size=1, max_size=4)
bindings = st.builds(
    Acl,
    resource_type=st.sampled_from([Resource.TOPIC, Resource.GROUP]),
    name=names,
    pattern=st.sampled_from([Pattern.LITERAL, Pattern.PREFIXED]),
    principal=st.sampled_from([ALICE, BOB, "User:*"]),
    host=st.sampled_from([HERE, THERE, "*"]),
    operation=st.sampled_from([Operation.ALL, *TOPIC_OPERATIONS]),
    permission=st.sampled_from([Permission.ALLOW, Permission.DENY]),
)


@given(
    changes=st.lists(st.tuples(st.booleans(), bindings), max_size=25),
    asked=st.lists(st.tuples(st.sampled_from([ALICE, BOB, ROOT]), st.sampled_from([HERE, THERE]), names), min_size=1, max_size=4),
    default=st.booleans(),
)
def test_every_decision_is_that_of_the_rules_whatever_came_and_went_before(
    changes: list[tuple[bool, Acl]], asked: list[tuple[str, str, str]], default: bool
) -> None:
    """Asked again after each change, so that nothing remembered and nothing in an index outlives it (CVE-2024-27309)."""
    acls, model = Acls(), set[Acl]()
    authorizer = Authorizer(acls, [ROOT], allows_without_acl=default)
    for exists, acl in [(False, next((acl for _, acl in changes), Acl(2, "a", 3, ALICE, "*", 2, 3))), *changes]:
        if exists or acl in model:
            acls.replay(acl, exists=exists)
            (model.add if exists else model.discard)(acl)
        for principal, host, name in asked:
            for operation in TOPIC_OPERATIONS:
                expected = principal == ROOT or model_allows(model, principal, host, operation, Resource.TOPIC, name, default=default)
                assert authorizer.allows(principal, host, operation, Resource.TOPIC, name) == expected
                assert bool(authorizer.operations(principal, host, Resource.TOPIC, name) >> operation & 1) == expected
    assert len(acls) == len(model)


@given(first=st.lists(bindings, max_size=8), second=st.lists(bindings, max_size=8), name=names, default=st.booleans())
def test_bindings_that_came_and_went_leave_nothing_behind(first: list[Acl], second: list[Acl], name: str, default: bool) -> None:
    """After adding and taking away the decisions are those of bindings that were there from the start."""
    worn, fresh = Acls(), Acls()
    for acl in [*second, *first]:
        worn.replay(acl, exists=True)
    for acl in first:
        if acl not in second:
            worn.replay(acl, exists=False)
    for acl in second:
        fresh.replay(acl, exists=True)
    for operation in TOPIC_OPERATIONS:
        one, other = (Authorizer(acls, [], allows_without_acl=default) for acls in (worn, fresh))
        question = (ALICE, HERE, operation, Resource.TOPIC)
        assert one.allows(*question, name) == other.allows(*question, name)
        assert one.allows_some(*question) == other.allows_some(*question)


@given(acls=st.lists(bindings, max_size=10))
def test_whoever_may_write_some_topic_is_known_without_asking_for_each(acls: list[Acl]) -> None:
    """With no denial but under names that are allowed as a whole: some name may be written if any allows, and no wildcard denies."""
    all_acls = Acls()
    for acl in acls:
        all_acls.replay(acl, exists=True)
    authorizer = Authorizer(all_acls, [], allows_without_acl=False)
    may_some = authorizer.allows_some(ALICE, HERE, Operation.WRITE, Resource.TOPIC)
    tried = {acl.name for acl in acls} | {acl.name + "~" for acl in acls} | {"~"}
    if any(authorizer.allows(ALICE, HERE, Operation.WRITE, Resource.TOPIC, name) for name in tried):
        assert may_some
    if not any(acl.permission == Permission.ALLOW for acl in acls):
        assert not may_some


def binding(**fields: object) -> Acl:
    plain = Acl(Resource.TOPIC, "orders", Pattern.LITERAL, ALICE, "*", Operation.READ, Permission.ALLOW)
    return plain._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bound", "asking"),
    [
        ("::1", "0:0:0:0:0:0:0:1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("fe80::1", "fe80::1%eth0"),
        ("FE80::1", "fe80:0:0:0:0:0:0:1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(bound: str, asking: str) -> None:
    """Java writes IPv6 addresses in full, a socket here writes them short."""
    acls = Acls()
    acls.replay(binding(host=bound), exists=True)
    authorizer = Authorizer(acls, [], allows_without_acl=False)
    assert authorizer.allows(ALICE, asking, Operation.READ, Resource.TOPIC, "orders")
    assert not authorizer.allows(ALICE, "10.0.0.9", Operation.READ, Resource.TOPIC, "orders")


@given(acl=bindings)
def test_a_binding_is_read_from_its_record_as_it_was_written(acl: Acl) -> None:
    """The key says all there is."""
    key, value = acl.record(exists=True)
    assert read_acl_key(key) == acl
    assert value is not None
    assert acl.record(exists=False) == (key, None)


ANYTHING = AclFilter(Resource.ANY, None, Pattern.ANY, None, None, Operation.ANY, Permission.ANY)


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({}, {"orders", "ord", "*"}),
        ({"name": "orders", "pattern": Pattern.MATCH}, {"orders", "ord", "*"}),
        ({"name": "ordinary", "pattern": Pattern.MATCH}, {"ord", "*"}),
        ({"name": "orders", "pattern": Pattern.ANY}, {"orders"}),
        ({"name": "orders", "pattern": Pattern.LITERAL}, {"orders"}),
        ({"name": "ord", "pattern": Pattern.PREFIXED}, {"ord"}),
        ({"name": "ord", "pattern": Pattern.LITERAL}, set()),
        ({"name": "*", "pattern": Pattern.LITERAL}, {"*"}),
        ({"pattern": Pattern.PREFIXED}, {"ord"}),
        ({"resource_type": Resource.GROUP}, set()),
        ({"principal": ALICE, "operation": Operation.READ, "permission": Permission.ALLOW}, {"orders", "ord", "*"}),
        ({"principal": "User:*"}, set()),
        ({"host": "*"}, {"orders", "ord", "*"}),
        ({"host": HERE}, set()),
        ({"operation": Operation.ALL}, set()),
        ({"permission": Permission.DENY}, set()),
    ],
)
def test_what_a_filter_finds(asked: dict[str, object], fits: set[str]) -> None:
    """Over one literal name, one prefix and the wildcard."""
    acls = Acls()
    for acl in (binding(), binding(name="ord", pattern=Pattern.PREFIXED), binding(name="*")):
        acls.replay(acl, exists=True)
    assert {acl.name for acl in acls.fitting(ANYTHING._replace(**asked))} == fits  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"resource_type": Resource.ANY},
        {"resource_type": 99},
        {"resource_type": Resource.CLUSTER, "name": "*"},
        {"name": ""},
        {"pattern": Pattern.MATCH},
        {"operation": Operation.ANY},
        {"permission": Permission.ANY},
        {"principal": "alice"},
    ],
)
def test_what_no_binding_may_be(wrong: dict[str, object]) -> None:
    """Refused, each with a sentence."""
    binding().check()
    with pytest.raises(KafkaError) as refused:
        binding(**wrong).check()
    assert refused.value.code == ErrorCode.INVALID_REQUEST


def test_decisions_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for ever more names does not fill the memory, and is still answered right."""
    monkeypatch.setattr("ev.broker.authorizer.DECISIONS_MAX", 10)
    acls = Acls()
    acls.replay(binding(name="a", pattern=Pattern.PREFIXED), exists=True)
    authorizer = Authorizer(acls, [], allows_without_acl=False)
    for number in range(100):
        assert authorizer.allows(ALICE, HERE, Operation.READ, Resource.TOPIC, f"a{number}")
        assert not authorizer.allows(ALICE, HERE, Operation.READ, Resource.TOPIC, f"b{number}")
        assert len(authorizer._decisions) <= 10
