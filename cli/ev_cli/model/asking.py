"""The questions of the model, put to a cluster one by one: each asks, and hands the answer to the state. Blocks; has no opinions."""

from __future__ import annotations

import time

from ev_cli.model.schedule import Question
from ev_cli.model.state import Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ev.client.admin import Admin
    from ev_cli.model.state import ClusterState

    Partition = tuple[str, int]

PARTITIONS_AT_ONCE = 2_000
GROUPS_AT_ONCE = 100
ARRIVALS_AT_ONCE = 20
STARTS_AFTER_S = 10.0
SWEPT_STARTS_AFTER_S = 60.0


class Sweep:
    """Goes through names that come and go, some at a time, round and round."""

    def __init__(self) -> None:
        self._last = ""
        self.is_round = False
        """Whether the names that were given out last were the last of a round."""

    def some(self, names: Sequence[str], count: int) -> list[str]:
        """The next names; `names` is sorted."""
        after = [name for name in names if name > self._last] if self._last else list(names)
        chosen = after[:count]
        self.is_round = len(chosen) == len(after)
        self._last = "" if self.is_round else chosen[-1]
        return chosen


class Asking:
    """Asks over one connection to the cluster for as long as it holds."""

    def __init__(self, admin: Admin, state: ClusterState) -> None:
        self.admin = admin
        self.state = state
        self.moved = False
        """Whether the last look at what is visible found something other than the one before."""
        self.is_stale = False
        """Whether an answer was of a kind that newer metadata would mend."""
        self._topics, self._commits, self._members = Sweep(), Sweep(), Sweep()
        self.wish = Wish()
        self.knew_groups = self.knew_lags = False

    def take_wish(self, wish: Wish) -> list[Question]:
        """Somebody looks at something else. Returns what to ask at once."""
        before, self.wish = self.wish, wish
        self.state.topics.watch(wish.all_topics)
        if wish.all_groups <= before.all_groups:
            return [Question.VISIBLE]
        return [Question.VISIBLE, Question.MEMBERS, Question.ARRIVALS]

    def ask(self, question: Question, wish: Wish) -> bool:
        """Ask one question. Returns whether there is more of it that should follow at once."""
        match question:
            case Question.METADATA:
                return self.ask_for_metadata()
            case Question.VISIBLE:
                return self.ask_for_visible(wish)
            case Question.GROUPS:
                return self.ask_for_groups()
            case Question.MEMBERS:
                return self.ask_for_members(wish)
            case Question.DIRECTORIES:
                return self.ask_for_directories()
            case Question.CONTROLLER:
                return self.ask_for_controller()
            case Question.TOPICS:
                return self.sweep_topics(wish)
            case Question.COMMITS:
                return self.sweep_commits(wish)
            case Question.ARRIVALS:
                return self.ask_for_arrivals(wish)

    def ask_for_metadata(self) -> bool:
        cluster, topics = self.admin.survey_topics()
        now_ms = time_ms()
        self.state.connected(now_ms)
        self.state.take_cluster(cluster, now_ms)
        self.state.take_topics(topics, now_ms)
        self.state.topics.watch(self.wish.all_topics)
        self.is_stale = False
        return False

    def ask_for_visible(self, wish: Wish) -> bool:
        """What groups have committed first, the ends of the partitions after that: nobody can be ahead of an end that is read later."""
        groups = [name for name in wish.all_groups if name in self.state.groups.states]
        committed_before = self.committed(groups)
        self.ask_for_committed(groups)
        self.state.groups.watch(wish.group_details)
        own = self.state.groups.partitions_of(groups)
        partitions = list(dict.fromkeys([*self.state.topics.partitions_of(sorted(wish.all_topics)), *self.led(own)]))
        self.moved = self.ask_for_ends(partitions, STARTS_AFTER_S)
        self.state.settle(groups, time.monotonic(), time_ms())
        self.moved |= self.committed(groups) != committed_before
        return False

    def committed(self, groups: Iterable[str]) -> list[list[int]]:
        return [[commit.committed for commit in self.state.groups.states[name].commits.values()] for name in groups]

    def ask_for_committed(self, groups: Sequence[str]) -> None:
        if groups:
            self.state.take_committed(self.admin.survey_committed(groups), time.monotonic())

    def ask_for_ends(self, partitions: Sequence[Partition], starts_after_s: float) -> bool:
        """The ends, and the starts where they are not known or were read long ago. Returns whether an end has moved."""
        if not partitions:
            return False
        old = self.state.topics.without_start(partitions, time.monotonic() - starts_after_s)
        if old:
            self.state.take_starts(self.admin.survey_starts(old), time.monotonic())
        found = self.admin.survey_ends(partitions)
        self.is_stale |= any(offset.error is not None and offset.error.retriable for offset in found.values())
        return self.state.take_ends(found, time.monotonic(), time_ms())

    def led(self, partitions: Iterable[Partition]) -> list[Partition]:
        """Those that are there and that somebody leads."""
        found = []
        for partition in sorted(partitions):
            state = self.state.topics.partition(*partition)
            if state is not None and state.description.leader >= 0:
                found.append(partition)
        return found

    def ask_for_groups(self) -> bool:
        listings, errors = self.admin.survey_groups()
        self.state.take_groups(listings, time_ms(), everybody=not errors)
        return False

    def ask_for_members(self, wish: Wish) -> bool:
        """Of the groups on screen, and of some others."""
        states = self.state.groups.states
        visible = [name for name in wish.all_groups if name in states]
        names = [*visible, *self._members.some([name for name in states if name not in wish.all_groups], GROUPS_AT_ONCE)]
        if names:
            self.state.take_members(self.admin.survey_members(names), time_ms())
        return self.more("members", self._members)

    def ask_for_directories(self) -> bool:
        found, _ = self.admin.survey_directories()
        self.state.take_directories(found, time.monotonic())
        return False

    def ask_for_controller(self) -> bool:
        self.state.take_controller(self.admin.quorum().leader_id, time_ms())
        return False

    def sweep_topics(self, wish: Wish) -> bool:
        """The next topics of those that are not on screen."""
        states, visible = self.state.topics.states, wish.all_topics
        names = [name for name in states if name not in visible]
        mean = max(1.0, sum(len(state.partitions) for state in states.values()) / max(1, len(states)))
        chosen = self._topics.some(names, max(1, int(PARTITIONS_AT_ONCE / mean)))
        self.ask_for_ends(self.state.topics.partitions_of(chosen), SWEPT_STARTS_AFTER_S)
        return self.more("topics", self._topics)

    def sweep_commits(self, wish: Wish) -> bool:
        """The next groups of those that are not on screen, and where the ends of their partitions are."""
        names = [name for name in self.state.groups.states if name not in wish.all_groups]
        chosen = self._commits.some(names, GROUPS_AT_ONCE)
        self.ask_for_committed(chosen)
        self.ask_for_ends(self.led(self.state.groups.partitions_of(chosen)), SWEPT_STARTS_AFTER_S)
        self.state.settle(chosen, time.monotonic(), time_ms())
        if self.state.knows_groups:
            return self.more("groups", self._commits)
        return False

    def ask_for_arrivals(self, wish: Wish) -> bool:
        """When the next records of the groups on screen came, where that was before anybody looked."""
        wanted = self.state.unknown_arrivals([*sorted(wish.group_details), *sorted(wish.groups or ())], ARRIVALS_AT_ONCE)
        if wanted:
            self.state.take_arrivals(self.admin.survey_arrivals(wanted), wanted)
        return False

    def more(self, what: str, sweep: Sweep) -> bool:
        """The first round goes on without a pause, so that everything is known soon."""
        if what in self.state.swept:
            return False
        if sweep.is_round:
            self.state.swept.add(what)
        return not sweep.is_round


def time_ms() -> int:
    return int(time.time() * 1000)
