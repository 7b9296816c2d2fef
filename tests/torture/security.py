"""Who may do what, the door before authentication, and secrets: decisions beside a naive model, strangers, SCRAM, ps and files (R17).

Four parts, one engine with an authorizer and a listener of SASL:

    decisions   random ACLs that come and go; every answer of the authorizer is that of the model, which has no index and remembers
                nothing; a share of it over sockets, where Metadata, Produce and Fetch have to obey too, also after a kill
    strangers   every API in every version, and keys that there are not, in each state before authentication: the connection ends
                without a byte, and nothing has happened
    SCRAM       nonces, proofs and channel bindings that are not right are refused, and so is what was right once; a name that no user
                has looks like any other
    secrets     passwords, right and wrong ones, are in no command line, log, file or output, as they are, in base64, percent or hex
                form; what the engine writes is its owner's alone
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from ev.broker.acls import Acl, Acls
from ev.broker.authorizer import SUPPORTED, Authorizer
from ev.errors import ErrorCode
from ev.wire.acls import CLUSTER_NAME, Operation, Pattern, Permission, Resource
from ev.wire.catalog import API
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k30_create_acls import AclCreation, CreateAclsRequest
from ev.wire.messages.k31_delete_acls import DeleteAclsFilter, DeleteAclsRequest
from ev.wire.records import encode_batch
from support.acl_model import TOPIC_OPERATIONS, model_allows
from support.engine import Engine
from support.guarded import ANONYMOUS, SETTINGS, USERS_HOST, Guarded
from support.one_partition import produce_request
from support.ports import free_port
from support.raw_client import RawClient
from support.raw_transactions import fetched
from support.sasl import handshake
from torture import faults, secrets
from torture.run import Run
from torture.scram import exchanges

FAULTS = (
    "security.allow_wins",
    "security.removed_acl_is_remembered",
    "security.prefix_both_ways",
    "security.cluster_told_to_strangers",
    "security.nonce_not_compared",
    "security.stranger_is_seen",
    "security.wrong_token_logged",
    "security.files_for_everybody",
)
CASES, CASES_QUICK = 100_000, 6_000
SOCKET_CHANGES, SOCKET_CHANGES_QUICK = 1_500, 60
EXCHANGES, EXCHANGES_QUICK = 2_000, 120
ACLS_MAX = 25
ALICE, BOB, ROOT = "User:alice", "User:bob", "User:root"
HERE, THERE = "10.0.0.1", "10.0.0.2"
NAMES = ("a", "ab", "abb", "b", "ba")
STRANGE_KEYS = (-1, 4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 93, 999, 32_767)


def torture(run: Run) -> None:
    run.outcome.without_faults = True
    with faults.seeded(run.fault):
        decisions(run, run.amount(CASES, CASES_QUICK))
    if run.outcome.problems:
        return
    port = free_port()
    settings = {**SETTINGS, "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"}
    settings |= {"connection.failed.authentication.delay.ms": "0", "ev.metrics.listen": "127.0.0.1:0"}
    engine = run.engine(settings=settings, arguments=("--listen", f"SASL_PLAINTEXT://127.0.0.1:{port}")).start()
    sasl = f"127.0.0.1:{port}"
    guarded = Guarded(engine.address)
    guarded.found()
    over_sockets(run, engine, guarded)
    if not run.outcome.problems:
        strangers(run, engine, sasl)
    if not run.outcome.problems:
        exchanges(run, engine.address, sasl, run.amount(EXCHANGES, EXCHANGES_QUICK))
    if not run.outcome.problems:
        secrets.search(run, engine, sasl)
    guarded.close()
    if not run.outcome.problems and (status := engine.stop()):
        run.outcome.problem(f"the engine ended with status {status}")


# ---- decisions


def drawn_acl(random: Random, kinds: Iterable[int] = (Resource.TOPIC, Resource.GROUP)) -> Acl:
    """Few names, principals and addresses, so that ACLs are often about the same."""
    kind = random.choice(tuple(kinds))
    pattern = random.choice((Pattern.LITERAL, Pattern.PREFIXED))
    name = random.choice((*NAMES, "*")) if pattern == Pattern.LITERAL else random.choice(NAMES)
    return Acl(
        kind,
        name,
        pattern,
        random.choice((ALICE, BOB, "User:*")),
        random.choice((HERE, THERE, "*")),
        random.choice((Operation.ALL, *TOPIC_OPERATIONS)),
        random.choice((Permission.ALLOW, Permission.ALLOW, Permission.DENY)),
    )


def decisions(run: Run, wanted: int) -> None:
    """Authorizers that live through a few hundred changes each; asked twice after each, so that what is remembered is asked too."""
    random, done = run.random, 0
    while done < wanted and not run.over:
        acls, model, default = Acls(), dict[Acl, None](), random.random() < 0.5
        authorizer = Authorizer(acls, [ROOT], allows_without_acl=default)
        questions = [drawn_question(random) for _ in range(12)]  # so few that most have been asked before the last change
        for _ in range(200):
            if run.over or done >= wanted:
                break
            if model and random.random() < (0.5 if len(model) < ACLS_MAX else 1):
                acl, exists = random.choice(list(model)), False
                del model[acl]
            else:
                acl, exists = drawn_acl(random), True
                model[acl] = None
            acls.replay(acl, exists=exists)
            for _ in range(3):
                done += asked(run, authorizer, model, random.choice(questions), default)
    run.outcome.figures["decisions"] = done


class Question(NamedTuple):
    """Who wants to do something with what."""

    principal: str
    host: str
    kind: int
    name: str


def drawn_question(random: Random) -> Question:
    return Question(
        random.choice((ALICE, BOB, ROOT)),
        random.choice((HERE, THERE)),
        random.choice((Resource.TOPIC, Resource.TOPIC, Resource.GROUP)),
        random.choice((*NAMES, "c")),
    )


def asked(run: Run, authorizer: Authorizer, model: dict[Acl, None], question: Question, default: bool) -> int:
    """One question, for each operation, in its three forms; how many decisions that was."""
    principal, host, kind, name = question
    field = authorizer.operations(principal, host, kind, name)
    for each in SUPPORTED[kind]:
        expected = principal == ROOT or model_allows(model, principal, host, each, kind, name, default=default)
        told = authorizer.allows(principal, host, each, kind, name, quiet=True)
        if told != expected or bool(field >> each & 1) != expected:
            run.outcome.problem(
                f"{principal} at {host}, operation {each} on {name!r} of kind {kind}, default {default}: told {told}, {field:b}; "
                f"the rules say {expected}; {sorted(model)}"
            )
            return 1
    if not authorizer.allows_some(principal, host, Operation.READ, kind) and any(
        authorizer.allows(principal, host, Operation.READ, kind, each, quiet=True) for each in (*NAMES, "c")
    ):
        run.outcome.problem(f"{principal} at {host} may read some of kind {kind}, and is told that it may none; {sorted(model)}")
    return len(SUPPORTED[kind])


class Told(NamedTuple):
    """What the user is told of a topic: the operations that it may do, as a bit field, and the codes of Produce and Fetch."""

    operations: int
    produce: int
    fetch: int


def over_sockets(run: Run, engine: Engine, guarded: Guarded) -> None:
    """ACLs that come and go by CreateAcls and DeleteAcls, and what Metadata, Produce and Fetch make of them; a kill in the middle."""
    random, model = run.random, dict[Acl, None]()
    topics = {name: f"t{run.seed}-{name}" for name in NAMES}
    wanted = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in topics.values()], allow_auto_topic_creation=True)
    guarded.admin(wanted, 12)
    changes = run.amount(SOCKET_CHANGES, SOCKET_CHANGES_QUICK)
    for number in range(changes):
        if run.over:
            break
        if model and random.random() < (0.5 if len(model) < ACLS_MAX else 1):
            acl = random.choice(list(model))
            del model[acl]
            removed = guarded.admin(DeleteAclsRequest(filters=[filter_of(acl)]), 3).filter_results[0]
            if removed.error_code or len(removed.matching_acls) != 1:
                run.outcome.problem(f"{acl} was removed {len(removed.matching_acls)} times, code {removed.error_code}")
        else:
            acl = user_acl(random, topics)
            model[acl] = None
            created = guarded.admin(CreateAclsRequest(creations=[AclCreation(*acl)]), 3).results[0]
            if created.error_code:
                run.outcome.problem(f"{acl} was not created: {created.error_message}")
        if number == changes // 2:
            engine.kill()
            engine.start()
            guarded.close()
            guarded = Guarded(engine.address)
        judge(run, guarded, topics, model)
        run.outcome.add("socket_changes")
    for acl in model:
        guarded.admin(DeleteAclsRequest(filters=[filter_of(acl)]), 3)
    guarded.close()


def user_acl(random: Random, topics: dict[str, str]) -> Acl:
    drawn = drawn_acl(random, (Resource.TOPIC,))
    name = drawn.name if drawn.name == "*" else topics[drawn.name]
    principal = ANONYMOUS if drawn.principal == ALICE else drawn.principal
    host = {HERE: USERS_HOST, THERE: "127.0.0.9"}.get(drawn.host, drawn.host)
    return drawn._replace(name=name, principal=principal, host=host)


def filter_of(acl: Acl) -> DeleteAclsFilter:
    return DeleteAclsFilter(
        resource_type_filter=acl.resource_type,
        resource_name_filter=acl.name,
        pattern_type_filter=acl.pattern,
        principal_filter=acl.principal,
        host_filter=acl.host,
        operation=acl.operation,
        permission_type=acl.permission,
    )


def judge(run: Run, guarded: Guarded, topics: dict[str, str], model: dict[Acl, None]) -> None:
    """The user is told, and let do, what the model says; and the administrator's ACL makes every topic one that an ACL is about."""
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in topics.values()], include_topic_authorized_operations=True
    )
    told = {topic.name: topic for topic in guarded.user(request, 10).topics}
    name = run.random.choice(list(topics.values()))
    produced = guarded.user(produce_request(name, encode_batch([b"x"])), 9).responses[0].partition_responses[0].error_code
    read = fetched(guarded.user, name, 0, committed=False).error_code
    for topic in topics.values():
        may = {each: model_allows(model, ANONYMOUS, USERS_HOST, each, Resource.TOPIC, topic, default=False) for each in TOPIC_OPERATIONS}
        field = sum(1 << each for each, allowed in may.items() if allowed)
        found = told[topic]
        run.outcome.add("socket_decisions", len(may))
        if found.error_code != (0 if may[Operation.DESCRIBE] else ErrorCode.TOPIC_AUTHORIZATION_FAILED):
            run.outcome.problem(f"Metadata of {topic} says {found.error_code}, the rules {may}; {sorted(model)}")
        elif may[Operation.DESCRIBE] and found.topic_authorized_operations != field:
            run.outcome.problem(
                f"Metadata of {topic}: operations {found.topic_authorized_operations:b}, the rules {field:b}; {sorted(model)}"
            )
        if topic == name:
            for what, code, operation in (("Produce", produced, Operation.WRITE), ("Fetch", read, Operation.READ)):
                if code != (0 if may[operation] else ErrorCode.TOPIC_AUTHORIZATION_FAILED):
                    run.outcome.problem(f"{what} of {topic} says {code}, the rules {may}; {sorted(model)}")


# ---- strangers


def strangers(run: Run, engine: Engine, sasl: str) -> None:
    """Only what leads to authentication is answered, whatever else comes ends the connection."""
    with RawClient(engine.address) as insider:
        before = names_there(insider)
    every = [(key, version) for key, api in API.items() for version in range(api.min_version, api.max_version + 2)]
    every += [(key, version) for key in STRANGE_KEYS for version in (0, 1)]
    cases = [(state, key, version) for state in ("new", "versions", "exchange") for key, version in every]
    run.random.shuffle(cases)
    seen: Counter[tuple[str, int]] = Counter()
    rank: dict[tuple[str, int, int], int] = {}
    for case in cases:
        rank[case] = seen[case[:2]]
        seen[case[:2]] += 1
    for case in sorted(cases, key=rank.__getitem__):  # each API once in each state, and then their other versions
        state, key, version = case
        if run.outcome.problems or (run.over and rank[case]):
            break
        with RawClient(sasl, timeout_s=10) as client:
            if state == "versions":
                client.ask(18, 3, ApiVersionsRequest("torture", "1"))
            elif state == "exchange":
                handshake(client, run.random.choice(("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")))
            if key in {"new": (17, 18), "versions": (17,), "exchange": (36,)}[state]:
                continue
            client.send(frame_of(client, key, version))
            run.outcome.add("stranger_requests")
            try:
                if not client.closed():
                    run.outcome.problem(f"a stranger in state {state!r} was answered to API {key} version {version}")
            except TimeoutError:
                run.outcome.problem(f"a stranger in state {state!r} who asked for API {key} version {version} was not closed in 10 s")
    with RawClient(engine.address) as insider:
        if names_there(insider) != before:
            run.outcome.problem(f"strangers have changed what topics there are: {names_there(insider) ^ before}")


def names_there(client: RawClient) -> set[str]:
    return {topic.name for topic in client.ask(3, 9, MetadataRequest(topics=None)).topics}


def frame_of(client: RawClient, key: int, version: int) -> bytes:
    """A request as it would be served, or the beginning of one where there is no such API."""
    api = API.get(key)
    if api is not None and version <= api.max_version:
        with contextlib.suppress(TypeError, ValueError, AttributeError):  # what says nothing cannot be written in every version
            return client.frame(key, version, sensible(key))
    head = key.to_bytes(2, "big", signed=True) + version.to_bytes(2, "big") + bytes(4) + b"\xff\xff"
    return len(head).to_bytes(4, "big") + head


def sensible(key: int) -> Any:
    """A request that would do something."""
    if key == 3:
        return MetadataRequest(topics=[MetadataRequestTopic(name="a-strangers-topic")], allow_auto_topic_creation=True)
    if key == 30:
        return CreateAclsRequest(
            creations=[AclCreation(Resource.CLUSTER, CLUSTER_NAME, Pattern.LITERAL, "User:mallory", "*", Operation.ALL, Permission.ALLOW)]
        )
    return API[key].request()
