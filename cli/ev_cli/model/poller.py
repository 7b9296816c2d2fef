"""The thread that watches a cluster: asks what is due, and leaves a new snapshot where everybody can read it without waiting.

Whoever reads takes `snapshot`, which is the newest one there is, and compares versions. What is on screen is told by `want`. A cluster that
does not answer is tried again for as long as the model lives; that it does not answer is part of the snapshot.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from ev.errors import EvError, KafkaError, TimedOutError, UnsupportedApiError
from ev_cli.failures import Failure
from ev_cli.model.asking import Asking, time_ms
from ev_cli.model.schedule import Question, Schedule, retry_s
from ev_cli.model.state import ClusterState, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.client.admin import Admin
    from ev_cli.model.alert_files import Alerts
    from ev_cli.model.snapshot import Snapshot

STALE_METADATA_S = 1.0
CLOSE_WAIT_S = 0.5


class ClusterModel:
    """One cluster, watched. `connect` makes the client for it, each time that it is needed, in the thread."""

    def __init__(self, connect: Callable[[], Admin], *, is_local: bool, alerts: Alerts | None = None) -> None:
        self._connect = connect
        self.alerts = alerts
        """The rules that are looked at with each snapshot, and what people say about them."""
        self._state = ClusterState()
        self._schedule = Schedule(is_local=is_local)
        self._is_local = is_local
        self._wish = Wish()
        self._changed = threading.Condition()
        self._woken = False
        self._closed = False
        self._paused = False
        self._refreshed = False
        self._listeners: tuple[Callable[[Snapshot], None], ...] = ()
        self._thread: threading.Thread | None = None
        self.crashed: BaseException | None = None
        """What has ended the thread although nobody closed the model: a mistake of ours."""
        self.snapshot: Snapshot = self._state.snapshot(self._wish, time.monotonic(), time_ms())

    # -- from any thread -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ev-model", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. One that waits for a slow answer ends when that has come, and nobody waits for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_WAIT_S)

    def __enter__(self) -> ClusterModel:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def want(
        self,
        topics: Iterable[str] | None = None,
        groups: Iterable[str] | None = None,
        topic_details: Iterable[str] = (),
        group_details: Iterable[str] = (),
    ) -> None:
        """What is on screen from now on. It is asked for first, and oftener than the rest."""
        wish = Wish(
            None if topics is None else frozenset(topics),
            None if groups is None else frozenset(groups),
            frozenset(topic_details),
            frozenset(group_details),
        )
        if wish != self._wish:
            self._wish = wish
            self._wake()

    def refresh(self) -> None:
        """Ask for everything now."""
        self._refreshed = True
        self._wake()

    @property
    def paused(self) -> bool:
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        """While it is paused nothing is asked, and the snapshot stays what it is."""
        self._paused = value
        self._wake()

    def on_change(self, listener: Callable[[Snapshot], None]) -> None:
        """Call this with each new snapshot, in the model's thread: it must not block, nor touch a screen."""
        self._listeners = (*self._listeners, listener)

    def wait_for(self, condition: Callable[[Snapshot], bool], timeout_s: float) -> Snapshot:
        """The first snapshot that fulfils the condition. TimedOutError when none does in that time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self.snapshot):
                if self.crashed is not None:
                    raise self.crashed
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise TimedOutError(f"the cluster did not show that within {timeout_s:g} s")
                self._changed.wait(left_s)
            return self.snapshot

    def _wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    # -- in the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closed:
                self._watch()
        except BaseException as error:  # noqa: BLE001 - it is told to whoever reads; a thread has nobody above it
            self.crashed = error
            self._wake()

    def _watch(self) -> None:
        """One connection, from its beginning to its end."""
        admin = None
        try:
            admin = self._connect()
            asking = Asking(admin, self._state)
            self._schedule.hasten(Question, time.monotonic())
            while not self._closed:
                self._step(asking)
        except (EvError, Failure, OSError) as error:
            self._lose(error)
        finally:
            if admin is not None:
                admin.close()

    def _step(self, asking: Asking) -> None:
        now = time.monotonic()
        if self._refreshed:
            self._refreshed = False
            self._schedule.hasten(Question, now)
        wish = self._wish
        if wish != asking.wish:
            self._schedule.hasten(asking.take_wish(wish), now)
        question = None if self._paused else self._schedule.next(now)
        if question is None:
            self._wait(3600.0 if self._paused else self._schedule.wait_s(now))
            return
        cpu_before = time.thread_time()
        try:
            again = asking.ask(question, wish)
        except (KafkaError, UnsupportedApiError) as error:
            if question is Question.METADATA:
                raise
            if isinstance(error, KafkaError) and error.retriable:
                self._schedule.asked(question, time.monotonic(), time.monotonic() - now, 0.0)
            else:
                self._state.refuse(question, str(error))
                self._schedule.refused(question, time.monotonic())
        else:
            self._state.refused.pop(question, None)
            done = time.monotonic()
            self._schedule.asked(question, done, done - now, time.thread_time() - cpu_before, again=again)
            if question is Question.VISIBLE:
                self._schedule.moved(asking.moved)
            if question is Question.VISIBLE and not asking.knew_lags and wish.all_groups and asking.knew_groups:
                asking.knew_lags = True
                self._schedule.hasten((Question.ARRIVALS,), done)
            if question is Question.GROUPS and not asking.knew_groups:
                asking.knew_groups = True
                self._schedule.hasten((Question.VISIBLE, Question.COMMITS, Question.MEMBERS), done)
            if asking.is_stale:
                self._schedule.hasten((Question.METADATA,), done + STALE_METADATA_S)
        self._publish()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            if not self._woken and not self._closed:
                self._changed.wait(seconds)
            self._woken = False

    def _publish(self) -> None:
        now, now_ms = time.monotonic(), time_ms()
        snapshot = self._state.snapshot(self._wish, now, now_ms)
        if self.alerts is not None:
            snapshot = replace(snapshot, alerts=self.alerts.evaluated(snapshot))
        with self._changed:
            self.snapshot = snapshot
            self._changed.notify_all()
        for listener in self._listeners:
            listener(snapshot)

    def _lose(self, error: Exception) -> None:
        """Say that the cluster does not answer, and wait until it is tried again."""
        pause_s = retry_s(self._state.connection.attempts, is_local=self._is_local)
        text = error.line() if isinstance(error, Failure) else str(error)
        self._state.lost(text, time_ms(), time.monotonic() + pause_s)
        self._publish()
        until = time.monotonic() + pause_s
        while not self._closed and not self._refreshed and (left_s := until - time.monotonic()) > 0:
            self._wait(left_s)
