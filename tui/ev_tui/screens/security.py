"""Security: who may do what (ACLs), who may come in (users), how much they may take (quotas)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from ev_tui import amounts
from ev_tui.asked import Asked, of_cluster
from ev_tui.screens import security_changes
from ev_tui.tabs import Tab, TabPage
from ev_tui.widgets.line_table import Column, Row

if TYPE_CHECKING:
    from ev.client.admin import Admin
    from ev.client.quotas import Quota
    from ev.client.results import Acl
    from ev.client.users import UserDescription
    from ev_cli.model.snapshot import Snapshot

OLD_S = 60.0


@dataclass(frozen=True, slots=True)
class Key:
    """What a row is known by: the text that the filter looks at, and what of it stands in the first column."""

    text: str
    shown: str
    pattern: str = ""

    def __str__(self) -> str:
        return self.text


def _shown(key: Key) -> str:
    return key.shown


class AclTab(Tab):
    """One ACL in a row."""

    TITLE = "ACLs"
    EMPTY = "no ACLs: whether everybody may do everything then is the brokers' setting; `n` adds one"

    def __init__(self, page: TabPage) -> None:
        super().__init__(page)
        self._asked: Asked[dict[Key, Acl]] = Asked(of_cluster(_acls), old_s=OLD_S)

    def columns(self) -> Sequence[Column]:
        return (
            Column("PRINCIPAL", 16, _shown, grow=True, keep=0, order=_shown),
            Column("MAY", 5, keep=1, tone=lambda permission: "bad" if permission == "deny" else "good"),
            Column("OPERATION", 16, keep=2),
            Column("RESOURCE", 11, keep=4),
            Column("NAME", 14, grow=True, keep=3),
            Column("HOST", 15, keep=6),
        )

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    @property
    def current(self) -> Acl | None:
        return (self._asked.answer or {}).get(self.table.current_key)

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [
            (key, acl.permission, acl.operation, acl.resource, acl.name + ("*" if acl.pattern == "prefixed" else ""), acl.host)
            for key, acl in (self._asked.answer or {}).items()
        ]

    def heading(self, snapshot: Snapshot) -> str:
        return amounts.full(len(self.table.rows)) if self._asked.answer is not None else ""

    def command(self) -> Sequence[str]:
        return ("acl", "list")


def _acls(admin: Admin) -> dict[Key, Acl]:
    from ev.client.acls import AclFilter

    return {Key(str(acl), acl.principal, acl.pattern): acl for acl in sorted(admin.acls(AclFilter()), key=str)}


class UserTab(Tab):
    """Users who have a password for SCRAM."""

    TITLE = "Users"
    EMPTY = "nobody has a password for SCRAM: `n` adds a user"

    def __init__(self, page: TabPage) -> None:
        super().__init__(page)
        self._asked: Asked[list[UserDescription]] = Asked(of_cluster(lambda admin: admin.users()), old_s=OLD_S)

    def columns(self) -> Sequence[Column]:
        return (Column("USER", 24, grow=True, keep=0), Column("MECHANISMS", 30, keep=1), Column("ITERATIONS", 14, right=True, keep=2))

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [(user.name, ", ".join(user.iterations), ", ".join(map(str, user.iterations.values()))) for user in self._asked.answer or []]

    def heading(self, snapshot: Snapshot) -> str:
        return amounts.full(len(self.table.rows)) if self._asked.answer is not None else ""

    def command(self) -> Sequence[str]:
        return ("user", "list")


class QuotaTab(Tab):
    """One quota of one entity in a row."""

    TITLE = "Quotas"
    EMPTY = "no quotas: everybody may take what there is"

    def __init__(self, page: TabPage) -> None:
        super().__init__(page)
        self._asked: Asked[dict[Key, tuple[Quota, str]]] = Asked(of_cluster(_quotas), old_s=OLD_S)

    def columns(self) -> Sequence[Column]:
        return (
            Column("OF", 24, _shown, grow=True, keep=0, order=_shown),
            Column("QUOTA", 26, keep=1),
            Column("VALUE", 20, right=True, keep=2),
        )

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    @property
    def current(self) -> tuple[Quota, str] | None:
        return (self._asked.answer or {}).get(self.table.current_key)

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [
            (key, name, security_changes.quota_text(name, quota.values[name])) for key, (quota, name) in (self._asked.answer or {}).items()
        ]

    def heading(self, snapshot: Snapshot) -> str:
        return amounts.full(len(self.table.rows)) if self._asked.answer is not None else ""

    def command(self) -> Sequence[str]:
        return ("quota", "list")


def _quotas(admin: Admin) -> dict[Key, tuple[Quota, str]]:
    from ev.client.quotas import entity_text

    found = {}
    for quota in admin.quotas():
        entity = entity_text(quota.entity)
        for name in quota.values:
            found[Key(f"{entity} {name}", entity)] = (quota, name)
    return found


class SecurityPage(TabPage):
    """ACLs, users and quotas of the cluster."""

    NAME = "security"
    TITLE = "Security"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "create", "new", id="security.create"),
        Binding("e", "edit", "edit", id="security.edit"),
        Binding("D", "delete", "delete", id="security.delete"),
    ]

    def make_tabs(self) -> list[Tab]:
        return [AclTab(self), UserTab(self), QuotaTab(self)]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if action != "edit" else not isinstance(self.tab, AclTab)

    def action_create(self) -> None:
        tab = self.tab
        if isinstance(tab, AclTab):
            security_changes.add_acl(self.ev, self.hasten, tab.current)
        elif isinstance(tab, UserTab):
            security_changes.add_user(self.ev, self.hasten)
        else:
            security_changes.set_quota(self.ev, self.hasten)

    def action_edit(self) -> None:
        tab = self.tab
        if isinstance(tab, UserTab) and tab.table.current_key is not None:
            security_changes.change_password(self.ev, str(tab.table.current_key), self.hasten)
        elif isinstance(tab, QuotaTab) and tab.current is not None:
            security_changes.set_quota(self.ev, self.hasten, *tab.current)

    def action_delete(self) -> None:
        tab = self.tab
        if isinstance(tab, AclTab) and tab.current is not None:
            security_changes.remove_acl(self.ev, tab.current, self.hasten)
        elif isinstance(tab, UserTab):
            security_changes.remove_users(self.ev, [str(key) for key in tab.table.chosen_keys], self.hasten)
        elif isinstance(tab, QuotaTab) and tab.current is not None:
            security_changes.unset_quota(self.ev, *tab.current, self.hasten)

    def action_copy(self) -> None:
        tab = self.tab
        names = [str(key) for key in tab.table.chosen_keys]
        if names:
            self.ev.copy("\n".join(names), "the row" if len(names) == 1 else f"{len(names)} rows")
