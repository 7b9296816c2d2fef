"""ev user: list, add, alter and remove users. A password never stands on a command line, where everybody could read it."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import report, show_plan
from ev_cli.failures import DONE, Failure, UsageFailure
from ev_cli.naming import chosen, confirm, matching
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import Outcome

PASSWORD_BYTES_MAX = 4096
COMMAND_TIMEOUT_S = 60


def list_users(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        users = _known(admin)
    output.show(_table({name: users[name] for name in matching(options.patterns, users, regex=False)}), options)
    return DONE


def _table(users: dict[str, dict[str, int]]) -> output.Table:
    """Users with their mechanisms, and how often the password is hashed for each."""
    table = output.Table(("user", "mechanisms", "iterations"))
    for name, found in users.items():
        table.add(user=name, mechanisms=list(found), iterations=list(found.values()))
    return table


def _planned(options: Any, session: Session, verb: str, users: dict[str, dict[str, int]]) -> int:
    show_plan(_table(users), verb, users, options, session)
    return DONE


def add_user(options: Any) -> int:
    session = Session(options)
    mechanisms = _mechanisms(options)
    with session.admin() as admin:
        there = [name for name in mechanisms if name in _known(admin).get(options.name, {})]
        if there:
            raise Failure(f"{output.safe(options.name)} has a password for {' and '.join(there)} already", "`ev user alter` gives another")
        if options.dry_run:
            return _planned(options, session, "add user", {options.name: dict.fromkeys(mechanisms, options.iterations)})
        return _set(admin, options, session, mechanisms, "added user")


def alter_user(options: Any) -> int:
    session = Session(options)
    mechanisms = _mechanisms(options)
    with session.admin() as admin:
        chosen([options.name], _known(admin), "user", session.where, regex=False)
        if options.dry_run:
            return _planned(options, session, "alter user", {options.name: dict.fromkeys(mechanisms, options.iterations)})
        return _set(admin, options, session, mechanisms, "altered user")


def remove_users(options: Any) -> int:
    session = Session(options)
    wanted = _mechanisms(options)
    with session.admin() as admin:
        known = _known(admin)
        names = chosen(options.names, known, "user", session.where, regex=False)
        if options.dry_run:
            doomed = {name: {one: known[name][one] for one in wanted if one in known[name]} for name in names}
            return _planned(options, session, "remove user", doomed)
        confirm(f"remove {', '.join(map(output.safe, names))} on {session.where}", options)
        outcomes = [admin.remove_password(name, mechanism) for name in names for mechanism in wanted if mechanism in known[name]]
    by_name = [_each_once([outcome for outcome in outcomes if outcome.name == name]) for name in names]
    failed = [outcome for some in by_name for outcome in some if outcome.error is not None]
    return report(failed or [outcome for some in by_name for outcome in some], "removed user", options, session)


def _known(admin: Admin) -> dict[str, dict[str, int]]:
    return {user.name: user.iterations for user in admin.users()}


def _mechanisms(options: Any) -> list[str]:
    from ev.client.users import MECHANISMS

    wanted = [name.upper() for name in options.mechanism or MECHANISMS]
    for name in wanted:
        if name not in MECHANISMS:
            raise UsageFailure(f"--mechanism {name} is unknown", " or ".join(MECHANISMS))
    return wanted


def _set(admin: Admin, options: Any, session: Session, mechanisms: list[str], done: str) -> int:
    password = _password(options)
    outcomes = [admin.set_password(options.name, password, mechanism, options.iterations) for mechanism in mechanisms]
    return report(_each_once(outcomes), done, options, session)


def _each_once(outcomes: list[Outcome]) -> list[Outcome]:
    """What became of several mechanisms: that it was done once, and each reason why not once."""
    return list({str(outcome.error): outcome for outcome in outcomes}.values())


def _password(options: Any) -> bytes:
    if options.password_stdin and options.password_command:
        raise UsageFailure("--password-stdin and --password-command contradict each other")
    if options.password_command:
        password = _printed(options.password_command)
    elif options.password_stdin:
        import sys

        password = sys.stdin.buffer.readline(PASSWORD_BYTES_MAX + 1)
    else:
        password = _asked(options.name)
    password = password.rstrip(b"\r\n")
    if not password or len(password) > PASSWORD_BYTES_MAX:
        raise UsageFailure(f"a password has from 1 to {PASSWORD_BYTES_MAX} bytes")
    return password


def _printed(command: str) -> bytes:
    import subprocess

    try:
        ended = subprocess.run(command, shell=True, stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"--password-command did not end within {COMMAND_TIMEOUT_S} s") from None
    if ended.returncode != 0:
        raise Failure(f"--password-command ended with status {ended.returncode}")
    return ended.stdout.partition(b"\n")[0]


def _asked(name: str) -> bytes:
    if not (output.is_terminal(0) and output.is_terminal(2)):
        raise UsageFailure("no password was given", "--password-stdin reads it from stdin, --password-command from a command")
    import getpass

    first = getpass.getpass(f"Password of {output.safe(name)}: ")
    if getpass.getpass("The same again: ") != first:
        raise UsageFailure("the two passwords are not the same")
    return first.encode()
