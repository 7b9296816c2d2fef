"""The files of alerts: the rules that people write, and what they have acknowledged or muted, which several dashboards share.

    alerts.toml   beside the configuration file: the rules (see `alerts`)
    alerts.json   in the state directory: {"acknowledged": ["CLUSTER KEY", …], "muted": {"CLUSTER KEY": until_ms, …}}

Who changes alerts.json holds the lock of alerts.lock, reads what is there, and puts the whole file in its place: nobody loses what another
has said at the same time, and a reader finds one or the other, never half of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import replace

from ev_cli import places
from ev_cli.failures import UsageFailure
from ev_cli.model.alerts import DEFAULTS, EVERY_S, Marks, Rule, Watch, rules_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ev_cli.model.snapshot import Alert, Snapshot

RULES, MARKS, LOCK = "alerts.toml", "alerts.json", "alerts.lock"


def rules_path(config_path: str | None) -> str | None:
    """Where the rules stand: beside the configuration file, if there can be one."""
    return None if config_path is None else os.path.join(os.path.dirname(config_path), RULES)


class Alerts:
    """The rules and the marks of one cluster, kept up to date with their files. `evaluated` belongs to one thread, the rest to anybody."""

    def __init__(self, rules_file: str | None, directory: str | None = None) -> None:
        self.rules_file = rules_file
        self._directory = places.directory("state") if directory is None else directory
        self._watch = Watch(list(DEFAULTS))
        self.problems: list[str] = []
        """What is wrong with the rules' file; its other rules hold."""
        self._cluster: str | None = None
        self._marks = Marks()
        self._alerts: tuple[Alert, ...] = ()
        self._looked_at: float | None = None
        self._stamps: dict[str, tuple[int, int, int] | None] = {}

    @property
    def rules(self) -> list[Rule]:
        return self._watch.rules

    def evaluated(self, snapshot: Snapshot) -> tuple[Alert, ...]:
        """The alerts that there are now. Looks at the rules once a second, and at the files when they have changed."""
        due = self._looked_at is None or snapshot.at >= self._looked_at + EVERY_S
        if due and snapshot.is_connected and snapshot.knows_topics:
            self._looked_at = snapshot.at
            self._cluster = snapshot.cluster_id
            self._read()
            self._alerts = tuple(self._watch.evaluated(snapshot, self._marks))
            self._forget(self._watch.ended)
        return self._alerts

    def acknowledge(self, key: str) -> None:
        """Somebody has seen it: it is quiet until it has ended and comes again."""
        self._change(lambda marks: replace(marks, acknowledged=marks.acknowledged | {self._named(key)}))

    def mute(self, key: str, for_s: float) -> None:
        """It is quiet for so long, whether it ends meanwhile or not."""
        until_ms = int((time.time() + for_s) * 1000)
        named = self._named(key)
        self._change(lambda marks: replace(marks, muted=(*[pair for pair in marks.muted if pair[0] != named], (named, until_ms))))

    def unmute(self, key: str) -> None:
        """It may be heard again, also if it was acknowledged."""
        named = self._named(key)
        self._change(lambda marks: Marks(marks.acknowledged - {named}, tuple([pair for pair in marks.muted if pair[0] != named])))

    def _forget(self, ended: set[str]) -> None:
        gone = {self._named(key) for key in ended if key in self._marks.acknowledged}
        if gone:
            with contextlib.suppress(OSError):
                self._change(lambda marks: replace(marks, acknowledged=marks.acknowledged - gone))

    def _named(self, key: str) -> str:
        return f"{self._cluster or '-'} {key}"

    # -- files -----------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self.rules_file is not None and self._has_changed(self.rules_file):
            self._read_rules(self.rules_file)
        if self._directory is not None and self._has_changed(os.path.join(self._directory, MARKS)):
            self._marks = self._own(read_marks(self._directory))

    def _has_changed(self, path: str) -> bool:
        stamp = stamp_of(path)
        changed = path not in self._stamps or self._stamps[path] != stamp
        self._stamps[path] = stamp
        return changed

    def _read_rules(self, path: str) -> None:
        from ev_cli.session import read_toml

        if not os.path.exists(path):
            rules: list[Rule] = list(DEFAULTS)
            problems: list[str] = []
        else:
            try:
                rules, problems = rules_of(read_toml(path))
            except UsageFailure as failure:
                self.problems = [failure.line()]  # what held before holds on
                return
        self.problems = problems
        if rules != self._watch.rules:
            self._watch = Watch(rules)

    def _own(self, marks: Marks) -> Marks:
        """Those of this cluster, by the alerts' own keys."""
        prefix = self._named("")
        return Marks(
            frozenset(key.removeprefix(prefix) for key in marks.acknowledged if key.startswith(prefix)),
            tuple([(key.removeprefix(prefix), until_ms) for key, until_ms in marks.muted if key.startswith(prefix)]),
        )

    def _change(self, change: Callable[[Marks], Marks]) -> None:
        if self._directory is None:
            raise OSError("there is no home directory to keep that in")
        with locked(self._directory):
            marks = change(read_marks(self._directory))
            now_ms = int(time.time() * 1000)
            write_marks(self._directory, replace(marks, muted=tuple([pair for pair in marks.muted if pair[1] > now_ms])))
        self._marks = self._own(marks)
        self._looked_at = None


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Nobody else changes the marks meanwhile."""
    import fcntl

    os.makedirs(directory, mode=0o700, exist_ok=True)
    descriptor = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_marks(directory: str) -> Marks:
    """What the file says; nothing when it is not there, or is not what we write."""
    try:
        with open(os.path.join(directory, MARKS), encoding="utf-8") as file:
            content = json.load(file)
        muted = tuple([(str(key), int(until_ms)) for key, until_ms in content.get("muted", {}).items()])
        return Marks(frozenset(map(str, content.get("acknowledged", []))), muted)
    except (OSError, ValueError, AttributeError, TypeError):
        return Marks()


def write_marks(directory: str, marks: Marks) -> None:
    path = os.path.join(directory, MARKS)
    written = f"{path}.{os.getpid()}"
    content = {"acknowledged": sorted(marks.acknowledged), "muted": dict(marks.muted)}
    with open(written, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(written, path)


def stamp_of(path: str) -> tuple[int, int, int] | None:
    """What tells one content of a file from the next."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
