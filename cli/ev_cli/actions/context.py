"""ev context: list, show, choose, add, edit, rename, remove, check and import contexts."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.config_file import edited, read_text, renamed, write_text
from ev_cli.context_tables import changed, parsed_defaults, tls_and_sasl
from ev_cli.contexts import Context
from ev_cli.ending import complain
from ev_cli.failures import DONE, FAILED, NOT_FOUND, Failure, UsageFailure, as_failure, heavier
from ev_cli.naming import confirm
from ev_cli.session import config_path, no_context, resolve
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Table = dict[str, Any]

LOCAL_NAME = "local"


class Configuration:
    """The user's configuration, for changing it: its text, and what it says."""

    def __init__(self, options: Any) -> None:
        import tomllib

        path = config_path(options)
        self.path = path or ""
        self.options = options
        self.text = "" if path is None else read_text(path)
        self.content = tomllib.loads(self.text)
        contexts = self.content.setdefault("contexts", {})
        if not isinstance(contexts, dict):
            raise UsageFailure(f"contexts in {path} is no table", "write [contexts.NAME]")
        self.contexts: dict[str, Table] = contexts

    @property
    def current(self) -> str:
        return str(self.content.get("current") or LOCAL_NAME)

    @property
    def names(self) -> list[str]:
        return [*([] if LOCAL_NAME in self.contexts else [LOCAL_NAME]), *self.contexts]

    def table(self, name: str) -> Table:
        if name not in self.contexts:
            if name == LOCAL_NAME:
                return {}
            raise no_context(name, self.contexts)
        table = self.contexts[name]
        if not isinstance(table, dict):
            raise UsageFailure(f"contexts.{name} in {self.path} is no table", f"write [contexts.{name}]")
        return table

    def check(self, name: str) -> None:
        """Raise UsageFailure when something in a context does not fit."""
        context = Context(name, self.contexts[name], self.path, looked_at=True)
        if name != LOCAL_NAME or "bootstrap" in self.contexts[name]:
            from ev_cli.session import with_ports

            with_ports(context.bootstrap())
        context.security()
        context.flag("protected")
        context.flag("readonly")
        context.defaults()

    def save(self, text: str | None = None) -> None:
        """Write what `content` says now, in the text that was there, or in this one."""
        if not self.path:
            raise UsageFailure("there is no home directory for a configuration", "set EV_CONFIG to a file")
        content = {key: value for key, value in self.content.items() if key != "contexts" or value}
        new, keeps_comments = edited(self.text if text is None else text, content)
        write_text(self.path, new)
        if not keeps_comments:
            output.say(f"ev: {self.path} was written anew, and its comments are lost")

    def choose(self, name: str) -> None:
        if name != self.current:
            self.content["previous"] = self.current
        self.content["current"] = name

    def say(self, text: str) -> None:
        if not self.options.quiet:
            output.say(f"ev: {output.safe(text)}")


# -- looking ---------------------------------------------------------------------------------------------------------------------


def list_contexts(options: Any) -> int:
    configuration = Configuration(options)
    table = output.Table(("name", "current", "bootstrap", "security"), ("protected", "readonly"))
    for name in configuration.names:
        found = configuration.table(name)
        table.add(
            name=name,
            current=name == configuration.current,
            bootstrap=found.get("bootstrap"),
            security=_protocol(found),
            protected=found.get("protected", False),
            readonly=found.get("readonly", False),
        )
    output.show(table, options)
    return DONE


def _protocol(table: Table) -> str:
    usual = ("sasl_" if "sasl" in table else "") + ("ssl" if "tls" in table else "plaintext")
    return str(table.get("security", usual)).lower()


def show_context(options: Any) -> int:
    configuration = Configuration(options)
    name = options.name or configuration.current
    found = configuration.table(name)
    if output.output_format(options) in ("table", "wide", "tsv") and options.output is None:
        import tomli_w

        output.write_text(output.safe_lines(tomli_w.dumps({"contexts": {name: found}})))
        return DONE
    table = output.Table(("name", "current", "bootstrap"))
    table.add(name=name, current=name == configuration.current, **found)
    output.show(table, options, one=True)
    return DONE


def current_context(options: Any) -> int:
    from ev_cli.project import find_project

    target = resolve(options, find_project())
    table = output.Table(("name",), ("bootstrap", "because"))
    table.add(
        name=target.name,
        bootstrap=target.bootstrap,
        because=_because(options, target.chosen_by),
        protected=target.protected,
        readonly=target.readonly,
    )
    if options.verbose and not options.json:
        output.say(f"ev: because of {table.rows[0]['because']}")
    if options.output is None and not options.json:
        output.write_text(f"{output.safe(target.name)}\n")
    else:
        output.show(table, options, one=True)
    return DONE


def _because(options: Any, chosen_by: str | None) -> str:
    """What decided, in the order of `session.resolve`."""
    for variable in ("EV_CONTEXT", "EV_BOOTSTRAP", "EV_DATA_DIR", "EV_LISTEN"):
        if os.environ.get(variable):
            return variable
    return chosen_by or config_path(options) or "nothing that says otherwise"


def check_contexts(options: Any) -> int:
    if options.timeout:
        duration_ms(options.timeout, "--timeout")  # once, and not for every context
    configuration = Configuration(options)
    names = configuration.names if options.every else options.names or [configuration.current]
    for name in names:
        configuration.table(name)
    table = output.Table(("name", "state", "bootstrap", "brokers", "cluster_id", "ms"), ("message",))
    status = DONE
    for name in names:
        row, code = _checked(options, name)
        table.add(**row)
        status = heavier(status, code) or code
    output.show(table, options)
    return status


def _checked(options: Any, name: str) -> tuple[Table, int]:
    """Who answers there, or why nobody does; the second with its exit status."""
    import time

    from ev_cli.protection import READS
    from ev_cli.running import Options
    from ev_cli.session import Session

    row: Table = {"name": name, "state": "ok", "bootstrap": None, "brokers": None, "cluster_id": None, "ms": None, "message": None}
    begun = time.monotonic()
    try:
        session = Session(Options({**vars(options), "context": name, "target_decided": None}), effect=READS)
        row["bootstrap"] = session.bootstrap
        with session.admin() as admin:
            cluster = admin.cluster()
    except Exception as error:  # noqa: BLE001 - each context is checked, whatever became of the one before
        failure = as_failure(error, name)
        row["state"], row["message"] = failure.kind, failure.line()
        complain(failure, wants_json=bool(options.json), about=name)
        return row, failure.code
    row.update(brokers=len(cluster.brokers), cluster_id=cluster.cluster_id, ms=round((time.monotonic() - begun) * 1000))
    return row, DONE


# -- choosing --------------------------------------------------------------------------------------------------------------------


def use_context(options: Any) -> int:
    configuration = Configuration(options)
    name = options.name
    if name == "-":
        previous = configuration.content.get("previous")
        if not previous:
            raise UsageFailure("there was no context before this one", "`ev context list` shows which there are")
        name = str(previous)
    configuration.table(name)
    configuration.choose(name)
    configuration.save()
    configuration.say(f"the current context is {name}")
    overruling = [variable for variable in ("EV_CONTEXT", "EV_BOOTSTRAP", "EV_DATA_DIR", "EV_LISTEN") if os.environ.get(variable)]
    if overruling:
        configuration.say(f"{overruling[0]} is set, and comes before it")
    return DONE


# -- changing --------------------------------------------------------------------------------------------------------------------


def add_context(options: Any) -> int:
    configuration = Configuration(options)
    name = _fit_name(options.name)
    if name in configuration.contexts:
        raise Failure(f"there is a context {name!r} already", f"`ev context edit {name}` changes it", code=FAILED)
    if not options.addresses:
        raise UsageFailure(f"where is {name}?", "give -b HOST:PORT")
    table: Table = {}
    changed(table, options)
    tls_and_sasl(table, options)
    parsed_defaults(table, options.defaults)
    configuration.contexts[name] = table
    configuration.check(name)
    _keep_in_keyring(options, name, table)
    if options.use:
        configuration.choose(name)
    configuration.save()
    hint = "" if options.use else f" (`ev context use {name}` makes it the current one)"
    configuration.say(f"added the context {name}{hint}")
    return DONE


def edit_context(options: Any) -> int:
    configuration = Configuration(options)
    if not _has_changes(options):
        return _edit_with_editor(configuration)
    name = options.name
    if name is None:
        raise UsageFailure("which context is to be changed?", "name it: ev context edit NAME …")
    table = (
        configuration.table(name) if name in configuration.contexts or name != LOCAL_NAME else configuration.contexts.setdefault(name, {})
    )
    for key in options.unset or ():
        _unset(table, key, name)
    changed(table, options)
    tls_and_sasl(table, options)
    parsed_defaults(table, options.defaults)
    configuration.check(name)
    _keep_in_keyring(options, name, table)
    configuration.save()
    configuration.say(f"changed the context {name}")
    return DONE


def _has_changes(options: Any) -> bool:
    given = ("addresses", "security", "protected", "readonly", "defaults", "unset", "mechanism", "username", "keyring")
    secrets = ("password_command", "password_env", "password_file", "token_command", "token_env", "token_file")
    return any(getattr(options, key) for key in (*given, *secrets, "ca", "cert", "key", "server_name", "tls_insecure"))


def _unset(table: Table, key: str, name: str) -> None:
    *above, last = key.split(".")
    found: Any = table
    for word in above:
        found = found.get(word) if isinstance(found, dict) else None
    if not isinstance(found, dict) or last not in found:
        raise Failure(f"the context {name!r} has no {key}", f"`ev context show {name}` shows what it has", code=NOT_FOUND)
    del found[last]


def _edit_with_editor(configuration: Configuration) -> int:
    """Let the person edit a copy; it takes the place of the configuration when everything in it fits."""
    import shlex
    import subprocess
    import tempfile
    import tomllib

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    if not (output.is_terminal(0) and output.is_terminal(1)) and not (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        raise UsageFailure("there is nothing to change, and no terminal for an editor", "give options, like -b HOST:PORT, or set EDITOR")
    handle, copy = tempfile.mkstemp(prefix="ev-", suffix=".toml")
    with open(handle, "w", encoding="utf-8") as file:
        file.write(configuration.text)
    try:
        ended = subprocess.run([*shlex.split(editor), copy], check=False)
    except OSError as error:
        os.unlink(copy)
        raise Failure(f"cannot run the editor {editor!r}: {error.strerror}", "set EDITOR to another one") from None
    text = open(copy, encoding="utf-8").read()  # noqa: SIM115 - read once
    try:
        if ended.returncode != 0:
            raise Failure(f"the editor ended with status {ended.returncode}")
        configuration.content = tomllib.loads(text)
        configuration.contexts = configuration.content.get("contexts", {})
        for name in configuration.contexts:
            configuration.table(name)
            configuration.check(name)
    except (Failure, tomllib.TOMLDecodeError) as error:
        why = error.line() if isinstance(error, Failure) else f"it is no TOML: {error}"
        raise UsageFailure(f"nothing was changed: {why}", f"what you wrote is in {copy}") from None
    os.unlink(copy)
    if text == configuration.text:
        configuration.say("nothing was changed")
        return DONE
    write_text(configuration.path, text)
    configuration.say(f"changed {configuration.path}")
    return DONE


def rename_context(options: Any) -> int:
    configuration = Configuration(options)
    old, new = options.name, _fit_name(options.new_name)
    table = configuration.table(old)
    if old not in configuration.contexts:
        raise Failure(f"{old!r} is the local engine, which has no other name", code=FAILED)
    if new in configuration.contexts:
        raise Failure(f"there is a context {new!r} already", f"`ev context remove {new}` removes it", code=FAILED)
    _move_keyring(table, old, new)
    configuration.content["contexts"] = {new if name == old else name: found for name, found in configuration.contexts.items()}
    for key in ("current", "previous"):
        if configuration.content.get(key) == old:
            configuration.content[key] = new
    configuration.save(renamed(configuration.text, ("contexts", old), ("contexts", new)))
    configuration.say(f"the context {old} is called {new}")
    return DONE


def remove_contexts(options: Any) -> int:
    configuration = Configuration(options)
    for name in options.names:
        configuration.table(name)
        if name not in configuration.contexts:
            raise Failure(f"{name!r} is the local engine, which is always there", code=FAILED)
    confirm(f"remove the context {', '.join(map(output.safe, options.names))}", options)
    for name in options.names:
        table = configuration.contexts.pop(name)
        if _uses_keyring(table):
            _keyring_of(table, name).forget()
    for key in ("current", "previous"):
        if configuration.content.get(key) in options.names:
            del configuration.content[key]
            if key == "current":
                configuration.say("the current context is the local engine again")
    configuration.save()
    configuration.say(f"removed the context {', '.join(options.names)}")
    return DONE


def _fit_name(name: str) -> str:
    if name == LOCAL_NAME:
        raise Failure(f"{name!r} is the engine of this machine", "take another name", code=FAILED)
    if not name or name == "-" or any(character in name for character in "/\\\"'\n\t ") or not name.isprintable():
        raise UsageFailure(f"{name!r} is no name for a context", "letters, digits, - and _ do")
    return name


# -- passwords -------------------------------------------------------------------------------------------------------------------


def _uses_keyring(table: Table) -> bool:
    sasl = table.get("sasl")
    return isinstance(sasl, dict) and sasl.get("keyring") is True


def _keyring_of(table: Table, name: str) -> Any:
    from ev_cli.passwords import KeyringSecret

    return KeyringSecret(name, str(table["sasl"].get("username") or ""))


def _keep_in_keyring(options: Any, name: str, table: Table) -> None:
    if options.password_stdin and not options.keyring:
        raise UsageFailure(
            "--password-stdin is for --keyring", "else a password is told by --password-command, -env or -file, or asked for"
        )
    if options.keyring:
        from ev_cli.passwords import new_password

        secret = _keyring_of(table, name)
        secret.keep(new_password(f"Password of {secret.name}: ", from_stdin=bool(options.password_stdin)))


def _move_keyring(table: Table, old: str, new: str) -> None:
    if _uses_keyring(table):
        _keyring_of(table, new).keep(_keyring_of(table, old)())
        _keyring_of(table, old).forget()


# -- importing -------------------------------------------------------------------------------------------------------------------


def import_contexts(options: Any) -> int:
    from ev_cli.foreign_contexts import read

    configuration = Configuration(options)
    found, current = read(options.file, options.name)
    if options.name is not None and len(found) > 1:
        raise UsageFailure(
            f"{options.file} has {len(found)} contexts, which --name cannot name", "leave it out, and rename them afterwards"
        )
    status, added = DONE, []
    for one in found:
        try:
            _admit(configuration, one, options)
        except Failure as failure:
            complain(failure, wants_json=False, about=one.name)
            status = FAILED
            continue
        added.append(one.name)
        for remark in one.remarks:
            output.say(f"ev: {output.safe(one.name)}: {output.safe(remark)}")
    if options.dry_run or not added:
        return _show_plan(configuration, added) if added else status
    for one in found:
        if one.name in added and one.password is not None:
            _keep_password(configuration, one, options)
    chosen = current if current in added else added[0]
    if options.use:
        configuration.choose(chosen)
    configuration.save()
    hint = "" if options.use else f" (`ev context use {chosen}`)"
    configuration.say(f"imported {', '.join(added)} from {options.file}{hint}")
    return status


def _admit(configuration: Configuration, found: Any, options: Any) -> None:
    """Take one into the configuration, if it fits. The one that it replaces comes back when it does not."""
    name = _fit_name(found.name)
    before = configuration.contexts.get(name)
    if before is not None and not options.replace:
        raise Failure(f"there is a context {name!r} already", "--replace puts this in its place, --name gives it another name")
    if found.password is not None:
        found.table["sasl"].update({"keyring": True} if options.keyring else {"password_file": _password_path(configuration, name)})
    configuration.contexts[name] = found.table
    try:
        configuration.check(name)
    except Failure:
        if before is None:
            del configuration.contexts[name]
        else:
            configuration.contexts[name] = before
        raise


def _show_plan(configuration: Configuration, names: list[str]) -> int:
    import tomli_w

    output.write_text(output.safe_lines(tomli_w.dumps({"contexts": {name: configuration.contexts[name] for name in names}})))
    return DONE


def _password_path(configuration: Configuration, name: str) -> str:
    return os.path.join(os.path.dirname(configuration.path), "passwords", name)


def _keep_password(configuration: Configuration, found: Any, options: Any) -> None:
    if options.keyring:
        _keyring_of(found.table, found.name).keep(found.password)
        return
    path = _password_path(configuration, found.name)
    write_text(path, f"{found.password}\n")
    configuration.say(f"the password of {found.name} is in {path}, which only you can read")
