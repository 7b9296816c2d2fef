"""The requests that describe, create and delete ACLs, on the engine and on Apache Kafka alike."""

from __future__ import annotations

import random
import uuid

import pytest

from conftest import StartEngine
from ev.broker.acls import Acl
from ev.errors import ErrorCode
from ev.wire.acls import CLUSTER_NAME, Operation, Pattern, Permission, Resource
from ev.wire.messages.k29_describe_acls import DescribeAclsRequest
from ev.wire.messages.k30_create_acls import AclCreation, CreateAclsRequest
from ev.wire.messages.k31_delete_acls import DeleteAclsFilter, DeleteAclsRequest
from support.acl_model import TOPIC_OPERATIONS, model_allows
from support.guarded import ANONYMOUS, SETTINGS, USERS_HOST, Guarded, fields
from support.guarded_requests import named, new_world
from support.waiting import wait_for


def some_name() -> str:
    return f"n-{uuid.uuid4().hex}"


def acl(name: str, **changed: object) -> Acl:
    plain = Acl(Resource.TOPIC, name, Pattern.LITERAL, "User:somebody", USERS_HOST, Operation.READ, Permission.ALLOW)
    return plain._replace(**changed)  # type: ignore[arg-type]


def test_what_was_created_is_described_and_what_was_deleted_is_not(guarded: Guarded) -> None:
    """Every kind of resource, pattern, operation and permission comes back as it was; a second time is no error and changes nothing."""
    name = some_name()
    acls = [
        acl(name),
        acl(name, pattern=Pattern.PREFIXED, permission=Permission.DENY),
        acl("*", operation=Operation.ALL),
        acl(name, resource_type=Resource.GROUP, operation=Operation.DELETE),
        acl(name, resource_type=Resource.TRANSACTIONAL_ID, operation=Operation.WRITE, principal="Team:a:b"),
        acl(CLUSTER_NAME, resource_type=Resource.CLUSTER, operation=Operation.IDEMPOTENT_WRITE),
        acl(name, resource_type=Resource.DELEGATION_TOKEN, operation=Operation.DESCRIBE),
        acl("User:x", resource_type=Resource.USER, operation=Operation.CREATE_TOKENS),
        acl("naïve 名", resource_type=Resource.GROUP),
    ]
    assert guarded.created(*acls, acls[0]) == [0] * (len(acls) + 1)
    wait_for(lambda: guarded.described() == set(acls), "all of them")
    assert guarded.created(*acls) == [0] * len(acls)
    assert guarded.described(resource_name_filter=name, pattern_type_filter=Pattern.MATCH, resource_type_filter=Resource.TOPIC) == set(
        acls[:3]
    )
    guarded.forbid(resource_name_filter=name, pattern_type_filter=Pattern.LITERAL)
    wait_for(lambda: guarded.described() == {acls[1], acls[2], acls[5], acls[7], acls[8]}, "the rest")


def test_the_answer_gathers_acls_by_resource(guarded: Guarded) -> None:
    """Two about the same pattern are one resource with two entries."""
    name = some_name()
    one, two = acl(name), acl(name, operation=Operation.WRITE)
    assert guarded.created(one, two, acl(name, pattern=Pattern.PREFIXED)) == [0, 0, 0]
    wait_for(lambda: len(guarded.described()) == 3, "all of them")
    answer = guarded.admin(DescribeAclsRequest(**fields({})), 2)
    assert answer.error_message == ""
    assert sorted((each.pattern_type, len(each.acls)) for each in answer.resources) == [(Pattern.LITERAL, 2), (Pattern.PREFIXED, 1)]


@pytest.mark.parametrize(
    "wrong",
    [{"resource_type": Resource.CLUSTER, "name": "another-cluster"}, {"name": ""}, {"operation": 99}, {"principal": "nobody"}],
    ids=str,
)
def test_what_cannot_be_is_refused_and_the_rest_is_created(guarded: Guarded, wrong: dict[str, object]) -> None:
    """Each ACL of a request is answered for itself."""
    name = some_name()
    good = acl(name)
    bad = good._replace(**wrong)  # type: ignore[arg-type]
    assert guarded.created(bad, good) == [ErrorCode.INVALID_REQUEST, 0]
    wait_for(lambda: guarded.described() == {good}, "the good one")


def test_filters_of_one_request_are_answered_each_for_itself(guarded: Guarded) -> None:
    """Whatever two filters fit is named by both, and what no ACL fits by none."""
    name = some_name()
    one, two = acl(name), acl(name, operation=Operation.WRITE)
    assert guarded.created(one, two) == [0, 0]
    wait_for(lambda: guarded.described() == {one, two}, "both")
    filters = [fields({"operation": Operation.READ}), fields({"resource_name_filter": name}), fields({"resource_name_filter": "none"})]
    answer = guarded.admin(DeleteAclsRequest(filters=[DeleteAclsFilter(**each) for each in filters]), 3)
    assert [result.error_code for result in answer.filter_results] == [0, 0, 0]
    found = [sorted(each.operation for each in result.matching_acls) for result in answer.filter_results]
    assert found == [[Operation.READ], [Operation.READ, Operation.WRITE], []]
    wait_for(lambda: not guarded.described(), "both to be gone")


def test_acls_are_for_those_who_may_alter_the_cluster(guarded: Guarded) -> None:
    """And described by those who may describe it; who may not is told so and changes nothing."""
    refused = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    name = some_name()
    create = CreateAclsRequest(creations=[AclCreation(*acl(name))])
    delete = DeleteAclsRequest(filters=[DeleteAclsFilter(**fields({"host_filter": "127.0.0.1"}))])
    describe = DescribeAclsRequest(**fields({}))
    assert guarded.user(describe, 3).error_code == refused
    assert [each.error_code for each in guarded.user(create, 3).results] == [refused]
    assert [each.error_code for each in guarded.user(delete, 3).filter_results] == [refused]
    assert guarded.described() == set()
    guarded.allow(Operation.DESCRIBE, Resource.CLUSTER)
    wait_for(lambda: guarded.user(describe, 3).error_code == 0, "the right to describe")
    assert [each.error_code for each in guarded.user(create, 3).results] == [refused]
    guarded.forbid()
    guarded.allow(Operation.ALTER, Resource.CLUSTER)
    wait_for(lambda: [each.error_code for each in guarded.user(create, 3).results] == [0], "the right to create")
    assert guarded.user(describe, 3).error_code == 0, "who may alter may describe"
    delete = DeleteAclsRequest(filters=[DeleteAclsFilter(**fields({"resource_name_filter": name}))])
    (result,) = guarded.user(delete, 3).filter_results
    assert [each.resource_name for each in result.matching_acls] == [name]


def test_acls_outlive_a_crash_and_count_at_once_after_it(start_engine: StartEngine) -> None:
    """What was answered is there after kill -9, also what was deleted: nobody is let in, or out, by a crash."""
    engine = start_engine(settings=SETTINGS)
    guarded = Guarded(engine.address)
    guarded.found()
    kept, gone = acl("kept", principal=ANONYMOUS, operation=Operation.DESCRIBE), acl("gone", principal=ANONYMOUS)
    assert guarded.created(kept, gone) == [0, 0]
    guarded.forbid(resource_name_filter="gone")
    guarded.close()
    engine.kill()
    engine.start()
    guarded = Guarded(engine.address)
    assert guarded.described() == {kept}
    assert guarded.user(DescribeAclsRequest(**fields({})), 3).error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    guarded.close()


def test_acls_are_kept_while_no_authorizer_is_configured(start_engine: StartEngine) -> None:
    """They say nothing meanwhile, and count again afterwards."""
    engine = start_engine(settings=SETTINGS)
    guarded = Guarded(engine.address)
    guarded.found()
    before = guarded.described(host_filter=None)
    guarded.close()
    engine.stop()
    engine.settings = {}
    engine.start()
    guarded = Guarded(engine.address)
    assert guarded.user(DescribeAclsRequest(**fields({})), 3).error_code == ErrorCode.SECURITY_DISABLED
    guarded.close()
    engine.stop()
    engine.settings = dict(SETTINGS)
    engine.start()
    guarded = Guarded(engine.address)
    assert guarded.described(host_filter=None) == before
    assert guarded.user(DescribeAclsRequest(**fields({})), 3).error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    guarded.close()


def test_numbers_that_are_for_filters_or_not_known_are_refused(start_engine: StartEngine) -> None:
    """One by one, where Kafka refuses the whole request or closes the connection."""
    engine = start_engine(settings={**SETTINGS, "super.users": ANONYMOUS})
    guarded = Guarded(engine.address)
    wrong = [
        acl("x", resource_type=Resource.ANY),
        acl("x", pattern=Pattern.MATCH),
        acl("x", pattern=Pattern.ANY),
        acl("x", operation=Operation.ANY),
        acl("x", operation=Operation.UNKNOWN),
        acl("x", permission=Permission.ANY),
    ]
    assert guarded.created(*wrong, acl("x")) == [ErrorCode.INVALID_REQUEST] * len(wrong) + [0]
    assert guarded.described() == {acl("x")}
    asked = fields({"operation": 99})
    assert guarded.admin(DescribeAclsRequest(**asked), 3).error_code == ErrorCode.INVALID_REQUEST
    (result,) = guarded.admin(DeleteAclsRequest(filters=[DeleteAclsFilter(**asked)]), 3).filter_results
    assert result.error_code == ErrorCode.INVALID_REQUEST
    guarded.close()


def test_a_super_user_may_do_everything_whatever_the_acls_say(start_engine: StartEngine) -> None:
    """Nobody can shut a super user out."""
    engine = start_engine(settings={**SETTINGS, "allow.everyone.if.no.acl.found": "false", "super.users": f"User:root;{ANONYMOUS}"})
    guarded = Guarded(engine.address)
    assert guarded.created(acl(CLUSTER_NAME, resource_type=Resource.CLUSTER, principal="User:*", host="*", permission=Permission.DENY)) == [
        0
    ]
    assert guarded.user(DescribeAclsRequest(**fields({})), 3).error_code == 0
    guarded.close()


def random_acl(chance: random.Random, topic: str) -> Acl:
    """One that is about the topic, or nearly so, and about the user, or nearly so."""
    pattern = chance.choice([Pattern.LITERAL, Pattern.PREFIXED])
    names = [topic, topic, topic[:-1], topic + "x", "*"] if pattern == Pattern.LITERAL else [topic, topic[:3], topic[:-1], topic + "x"]
    return Acl(
        Resource.TOPIC,
        chance.choice(names),
        pattern,
        chance.choice([ANONYMOUS, "User:*", "User:somebody"]),
        chance.choice([USERS_HOST, USERS_HOST, "*", "10.9.9.9"]),
        chance.choice([Operation.ALL, *TOPIC_OPERATIONS, Operation.READ, Operation.ALTER_CONFIGS]),
        chance.choice([Permission.ALLOW, Permission.ALLOW, Permission.DENY]),
    )


def test_what_may_be_done_with_a_topic_is_what_the_rules_say(guarded: Guarded) -> None:
    """Over many sets of ACLs at random: the bits that a client is told, and so the model that the authorizer is compared with elsewhere."""
    chance = random.Random(19)
    topic = new_world(guarded).topic
    seen = 0
    for _ in range(15):
        acls = {random_acl(chance, topic) for _ in range(chance.randint(1, 5))}
        assert set(guarded.created(*acls)) == {0}
        everybody = {"host_filter": None, "resource_type_filter": Resource.TOPIC}
        wait_for(lambda: acls <= guarded.described(**everybody), "the ACLs")  # noqa: B023
        every = guarded.described(**everybody)
        allowed = {op for op in TOPIC_OPERATIONS if model_allows(every, ANONYMOUS, USERS_HOST, op, Resource.TOPIC, topic, default=True)}
        (answer,) = guarded.user(named(topic, include_topic_authorized_operations=True), 9).topics
        if Operation.DESCRIBE in allowed:
            seen += 1
            assert {op for op in TOPIC_OPERATIONS if answer.topic_authorized_operations >> op & 1} == allowed, acls
        else:
            assert answer.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED, acls
        for host in (USERS_HOST, "*", "10.9.9.9"):
            guarded.forbid(host_filter=host)
    assert 2 < seen < 13
