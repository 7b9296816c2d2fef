"""What may change in a group of the new protocol, whoever brings it about: what a member says, its place, its end, the target.

Nothing is changed here: records are written into the decision, and change the group when they are replayed. Where one decision
takes several steps, the later ones look at a view of the group: how it will be after the earlier ones.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.coordinators.classic_rebalance import Deadline
from ev.coordinators.consumer_group import ConsumerGroup, ConsumerMember, Current, MemberState, Resolved, reconciled
from ev.coordinators.consumer_group_records import (
    CURRENT,
    GROUP,
    MEMBER,
    PATTERN,
    TARGET,
    TARGET_MEMBER,
    ConsumerKey,
    current_value,
    encode_key,
    group_value,
    member_value,
    pattern_value,
    target_member_value,
    target_value,
)
from ev.coordinators.decision import Record
from ev.coordinators.patterns import Pattern
from ev.coordinators.server_assignors import ASSIGNORS
from ev.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection

    from ev.coordinators.deadlines import Deadlines
    from ev.coordinators.decision import Decision, Now
    from ev.coordinators.group_config import GroupConfigs
    from ev.coordinators.offsets import Topics
    from ev.coordinators.server_assignors import Assignment

SESSION: Final = "consumer session"
REVOCATION: Final = "consumer revocation"
JOIN: Final = "consumer join"
SYNC: Final = "consumer sync"
OF_MEMBERS: Final = (SESSION, REVOCATION, JOIN, SYNC)
"""What a member may be late with. The last two are for members of the classic protocol: to join again, and to ask for its assignment."""
PATTERNS_MAX: Final = 1000


class Metadata(NamedTuple):
    """The topics that a group reads, as they are now."""

    counts: dict[bytes, int]
    by_name: dict[str, bytes]
    hash: int


class Changes:
    def __init__(self, settings: Settings, topics: Topics, configs: GroupConfigs, deadlines: Deadlines[Deadline]) -> None:
        self._settings = settings
        self._topics = topics
        self._configs = configs
        self._deadlines = deadlines
        self._patterns: dict[str, Pattern] = {}
        self._identities: dict[tuple[str, str], tuple[str, str]] = {}  # who each member was at its last heartbeat, by group and member

    # ---- members

    def take_step(self, group: ConsumerGroup, member: ConsumerMember, owned: Assignment | None, now: Now, decision: Decision) -> Current:
        """The member says this of itself, and takes its next step towards what it is to have."""
        member_id = member.member_id
        before = group.members.get(member_id)
        if member != before:
            decision.write(group.group_id, encode_key(ConsumerKey(MEMBER, group.group_id, member_id)), member_value(member))
        members = {**group.members, member_id: member}
        self._resolve(group, members, now, decision)
        epoch = self._epoch(group, members, before, member, decision)
        target_epoch, target = self._target(group, members, epoch, now, decision)
        current = group.current_of(member_id)
        if member != before or current.state is not MemberState.STABLE or current.epoch != target_epoch:
            names, _ = self._subscribed_names(group, member)
            wanted = {topic_id for name in names if (topic_id := self._topics.topic_id(name)) is not None}
            current = reconciled(group, member_id, target.get(member_id, {}), target_epoch, owned, wanted)
        if current != group.current.get(member_id):
            decision.write(group.group_id, encode_key(ConsumerKey(CURRENT, group.group_id, member_id)), current_value(current))
        self.expect(group.group_id, member, current, now)
        return current

    def replace(self, group: ConsumerGroup, old: ConsumerMember, member_id: str, decision: Decision) -> ConsumerGroup:
        """The group with the static member under its new id: it keeps its place and its assignment, and nothing else changes."""
        new = old._replace(member_id=member_id)
        current = group.current_of(old.member_id)._replace(epoch=0, previous_epoch=0)
        target = group.target.get(old.member_id, {})
        self._forget_member(group, old.member_id, decision)
        decision.write(group.group_id, encode_key(ConsumerKey(MEMBER, group.group_id, member_id)), member_value(new))
        decision.write(group.group_id, encode_key(ConsumerKey(TARGET_MEMBER, group.group_id, member_id)), target_member_value(target))
        decision.write(group.group_id, encode_key(ConsumerKey(CURRENT, group.group_id, member_id)), current_value(current))
        view = group.copy()
        view.remove_member(old.member_id)
        view.put_current(old.member_id, None)
        view.target.pop(old.member_id, None)
        view.put_member(new)
        view.target[member_id] = target
        view.put_current(member_id, current)
        return view

    def remove(self, group: ConsumerGroup, member_ids: Collection[str], decision: Decision) -> None:
        """These are no longer in the group: the others get what they had."""
        for member_id in member_ids:
            self._forget_member(group, member_id, decision)
        rest = {each: member for each, member in group.members.items() if each not in member_ids}
        self._forget_patterns(group, rest, decision)
        key = encode_key(ConsumerKey(GROUP, group.group_id))
        decision.write(group.group_id, key, group_value(group.epoch + 1, self.metadata(group, rest).hash))

    def _forget_member(self, group: ConsumerGroup, member_id: str, decision: Decision) -> None:
        for kind in (CURRENT, TARGET_MEMBER, MEMBER):
            decision.write(group.group_id, encode_key(ConsumerKey(kind, group.group_id, member_id)), None)
        for deadline in OF_MEMBERS:
            self._deadlines.cancel(Deadline(deadline, group.group_id, member_id))

    def bury(self, group: ConsumerGroup, decision: Decision) -> None:
        """Tombstones for all that the log says of the group but its offsets."""
        for member_id in group.members:
            self._forget_member(group, member_id, decision)
        self._forget_patterns(group, {}, decision)
        for kind in (TARGET, GROUP):
            decision.write(group.group_id, encode_key(ConsumerKey(kind, group.group_id)), None)

    # ---- patterns

    def _resolve(self, group: ConsumerGroup, members: dict[str, ConsumerMember], now: Now, decision: Decision) -> None:
        """Write down which topics the members' patterns match, when that is new or was last looked at long ago."""
        self._forget_patterns(group, members, decision)
        refresh_ms = self._settings.group_consumer_regex_refresh_interval_ms
        readers: dict[str, list[str]] = {}
        for member_id, member in members.items():
            if member.regex:
                readers.setdefault(member.regex, []).append(member_id)
        for text, member_ids in sorted(readers.items()):
            known = group.resolved.get(text)
            is_old = known is None or now.wall_ms - known.timestamp_ms > refresh_ms
            if not is_old and group.topics_seen == self._topics.version:
                continue
            topics = frozenset(self._matching(text))
            if self._topics.guarded:
                topics = frozenset(name for name in topics if any(self._may_see(group, each, name) for each in member_ids))
            if is_old or known is None or topics != known.topics:
                value = pattern_value(Resolved(topics, self._topics.version, now.wall_ms))
                decision.write(group.group_id, encode_key(ConsumerKey(PATTERN, group.group_id, text)), value)

    def _forget_patterns(self, group: ConsumerGroup, members: dict[str, ConsumerMember], decision: Decision) -> None:
        """Tombstones for those that nobody subscribes to any more."""
        for text in group.resolved.keys() - {member.regex for member in members.values()}:
            decision.write(group.group_id, encode_key(ConsumerKey(PATTERN, group.group_id, text)), None)

    def _matching(self, text: str) -> set[str]:
        pattern = self.pattern(text)
        return {name for name in self._topics.names() if pattern.matches(name)}

    # ---- epochs and targets

    def _epoch(
        self,
        group: ConsumerGroup,
        members: dict[str, ConsumerMember],
        before: ConsumerMember | None,
        member: ConsumerMember,
        decision: Decision,
    ) -> int:
        """The group's epoch now: raised when a subscription or the topics have changed."""
        subscription_changed = before is None or (before.subscribed, before.regex) != (member.subscribed, member.regex)
        assignor_changed = before is not None and before.server_assignor != member.server_assignor
        up_to_date = group.topics_seen == self._topics.version or self._is_someone_unknown(group.group_id, members)
        if up_to_date and not (subscription_changed or assignor_changed):
            return group.epoch
        metadata = self.metadata(group, members)
        group.topics_seen = self._topics.version
        if not (subscription_changed or assignor_changed) and metadata.hash == group.metadata_hash:
            return group.epoch
        epoch = group.epoch + 1
        decision.write(group.group_id, encode_key(ConsumerKey(GROUP, group.group_id)), group_value(epoch, metadata.hash))
        return epoch

    def _target(
        self, group: ConsumerGroup, members: dict[str, ConsumerMember], epoch: int, now: Now, decision: Decision
    ) -> tuple[int, dict[str, Assignment]]:
        """(epoch, parts) of the target assignment, made anew when the group's epoch has gone on, and the last one is old enough."""
        age_ms = now.wall_ms - group.target_timestamp_ms
        if epoch <= group.target_epoch or 0 <= age_ms < self._configs.assignment_interval_ms(group.group_id):
            return group.target_epoch, group.target
        metadata = self.metadata(group, members)
        subscriptions = {
            member_id: frozenset(metadata.by_name[name] for name in self._subscribed_names(group, member)[0] if name in metadata.by_name)
            for member_id, member in members.items()
        }
        target = ASSIGNORS[assignor_of(members, self._settings)](subscriptions, metadata.counts, group.target)
        for member_id, assignment in target.items():
            if group.target.get(member_id) != assignment:
                key = encode_key(ConsumerKey(TARGET_MEMBER, group.group_id, member_id))
                decision.write(group.group_id, key, target_member_value(assignment))
        decision.write(group.group_id, encode_key(ConsumerKey(TARGET, group.group_id)), target_value(epoch, now.wall_ms))
        return epoch, target

    def _subscribed_names(self, group: ConsumerGroup, member: ConsumerMember) -> tuple[set[str], set[str]]:
        """The topics that there are of those that the member subscribes to by name or by pattern, and those that it may not see."""
        names = {name for name in member.subscribed if self._topics.topic_id(name) is not None}
        hidden: set[str] = set()
        if member.regex:
            matching = self._matching(member.regex)
            if self._topics.guarded:
                hidden = {name for name in matching if not self._may_see(group, member.member_id, name)}
            names |= matching - hidden
        return names, hidden

    def metadata(self, group: ConsumerGroup, members: dict[str, ConsumerMember]) -> Metadata:
        found = {member_id: self._subscribed_names(group, member) for member_id, member in members.items()}
        names = sorted({name for seen, _ in found.values() for name in seen})
        by_name = {name: topic_id for name in names if (topic_id := self._topics.topic_id(name)) is not None}
        counts = {topic_id: self._topics.partition_count(name) for name, topic_id in by_name.items()}
        digest = sha256()
        for name, topic_id in by_name.items():
            digest.update(f"{name} {topic_id.hex()} {counts[topic_id]}\n".encode())
        for member_id, (_, hidden) in sorted(found.items()):
            if hidden:
                digest.update(f"{member_id} does not see {' '.join(sorted(hidden))}\n".encode())
        return Metadata(counts, by_name, int.from_bytes(digest.digest()[:8], "big", signed=True))

    def pattern(self, text: str) -> Pattern:
        """Raises PatternError."""
        known = self._patterns.get(text)
        if known is None:
            known = Pattern(text)
            if len(self._patterns) >= PATTERNS_MAX:
                self._patterns.clear()
            self._patterns[text] = known
        return known

    # ---- who may see what

    def identify(self, group_id: str, member_id: str, identity: tuple[str, str]) -> None:
        """Who the member is now: what its pattern finds depends on that."""
        self._identities[group_id, member_id] = identity

    def forget_identity(self, group_id: str, member_id: str) -> None:
        self._identities.pop((group_id, member_id), None)

    def forget_strangers(self, groups: dict[str, ConsumerGroup]) -> None:
        """Of whoever has not become a member in the end."""
        self._identities = {
            (group_id, member_id): identity
            for (group_id, member_id), identity in self._identities.items()
            if group_id in groups and member_id in groups[group_id].members
        }

    def _may_see(self, group: ConsumerGroup, member_id: str, name: str) -> bool:
        """Whether a member may know of the topic. One that is not heard of since the start keeps what it had."""
        identity = self._identities.get((group.group_id, member_id))
        if identity is None:
            return self._topics.topic_id(name) in group.target.get(member_id, {})
        return self._topics.may_see(identity, name)

    def _is_someone_unknown(self, group_id: str, members: dict[str, ConsumerMember]) -> bool:
        """Whether what a member may see is still to be learnt, after a start. It is, in a session timeout at most."""
        return self._topics.guarded and any(
            member.regex and (group_id, member_id) not in self._identities for member_id, member in members.items()
        )

    # ---- time

    def expect(self, group_id: str, member: ConsumerMember, current: Current, now: Now) -> None:
        """A sign of life, and while a member of the new protocol has something to give up, that it does so in its time."""
        self.restart_session(group_id, member, now)
        revocation = Deadline(REVOCATION, group_id, member.member_id)
        if current.state is not MemberState.UNREVOKED_PARTITIONS or member.classic is not None:
            self._deadlines.cancel(revocation)
        elif revocation not in self._deadlines:
            self._deadlines.set(revocation, now.monotonic_ms + member.rebalance_timeout_ms)
        if member.classic is None:
            for kind in (JOIN, SYNC):
                self._deadlines.cancel(Deadline(kind, group_id, member.member_id))

    def restart_session(self, group_id: str, member: ConsumerMember, now: Now) -> None:
        session_ms = self._configs.session_timeout_ms(group_id) if member.classic is None else member.classic.session_timeout_ms
        self._deadlines.set(Deadline(SESSION, group_id, member.member_id), now.monotonic_ms + session_ms)

    def start_sessions(self, group: ConsumerGroup, now: Now) -> None:
        """Everybody in the group has a whole session timeout from now on."""
        for member_id, member in group.members.items():
            self.expect(group.group_id, member, group.current_of(member_id), now)

    # ---- the log

    def records_of(self, group: ConsumerGroup) -> list[Record]:
        """Everything that the log must say of a group but its offsets."""
        name = group.group_id
        found = [(ConsumerKey(MEMBER, name, each), member_value(member)) for each, member in group.members.items()]
        found.append((ConsumerKey(GROUP, name), group_value(group.epoch, group.metadata_hash)))
        found += [(ConsumerKey(PATTERN, name, text), pattern_value(resolved)) for text, resolved in group.resolved.items()]
        found += [(ConsumerKey(TARGET_MEMBER, name, each), target_member_value(part)) for each, part in group.target.items()]
        found.append((ConsumerKey(TARGET, name), target_value(group.target_epoch, group.target_timestamp_ms)))
        found += [(ConsumerKey(CURRENT, name, each), current_value(current)) for each, current in group.current.items()]
        return [Record(name, encode_key(key), value) for key, value in found]


def assignor_of(members: dict[str, ConsumerMember], settings: Settings) -> str:
    """The assignor that most members ask for, of those that there are; the first of these if nobody asks."""
    assignors = assignors_of(settings)
    votes = Counter(member.server_assignor for member in members.values() if member.server_assignor in assignors)
    return max(assignors, key=lambda name: votes[name])


def assignors_of(settings: Settings) -> tuple[str, ...]:
    return settings.group_consumer_assignors or Settings.group_consumer_assignors.default
