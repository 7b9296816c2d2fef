"""ev context: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import LOCAL

app = typer.Typer(help="Name clusters, choose among them, and keep how to speak to them.", no_args_is_help=True, add_completion=False)

NOT_HERE = ("bootstrap", "context", "data_dir", "listen", "insecure", "set", "timeout")

WHO = "Who you are"
TLS = "TLS"

Name = Annotated[str, typer.Argument(metavar="CONTEXT", help="The context.")]
NewName = Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")]
Addresses = Annotated[str | None, typer.Option("--bootstrap-server", "-b", metavar="HOST:PORT,…", help="Addresses of the cluster.")]
SecurityProtocol = Annotated[
    str | None,
    typer.Option(
        "--security", metavar="plaintext|ssl|sasl_plaintext|sasl_ssl", help="How to speak to it; else what else is given decides."
    ),
]
Protected = Annotated[
    bool, typer.Option("--protected", help="What is lost for good there wants the context's name typed, or -y with -C NAME.")
]
Readonly = Annotated[bool, typer.Option("--readonly", help="Nothing is ever written there.")]
Defaults = Annotated[
    list[str] | None,
    typer.Option("--default", metavar="COMMAND.OPTION=VALUE", help="An option where it is not given, like consume.format=json."),
]
Mechanism = Annotated[
    str | None,
    typer.Option("--mechanism", metavar="NAME", help="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.", rich_help_panel=WHO),
]
Username = Annotated[str | None, typer.Option("--username", metavar="NAME", help="The user.", rich_help_panel=WHO)]
PasswordCommand = Annotated[
    str | None,
    typer.Option("--password-command", metavar="COMMAND", help="The password is the first line that it prints.", rich_help_panel=WHO),
]
PasswordEnv = Annotated[
    str | None, typer.Option("--password-env", metavar="VARIABLE", help="The password is in this variable.", rich_help_panel=WHO)
]
PasswordFile = Annotated[
    str | None, typer.Option("--password-file", metavar="FILE", help="The password is the first line of this file.", rich_help_panel=WHO)
]
Keyring = Annotated[
    bool,
    typer.Option("--keyring", help="Keep the password in the keyring of the system; it is asked for now.", rich_help_panel=WHO),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="With --keyring: the password is the first line of stdin.", rich_help_panel=WHO)
]
TokenCommand = Annotated[
    str | None,
    typer.Option("--token-command", metavar="COMMAND", help="The token is the first line that it prints.", rich_help_panel=WHO),
]
TokenEnv = Annotated[
    str | None, typer.Option("--token-env", metavar="VARIABLE", help="The token is in this variable.", rich_help_panel=WHO)
]
TokenFile = Annotated[
    str | None, typer.Option("--token-file", metavar="FILE", help="The token is the first line of this file.", rich_help_panel=WHO)
]
Ca = Annotated[
    str | None, typer.Option("--ca", metavar="FILE", help="The authorities to trust, in PEM; else the system's.", rich_help_panel=TLS)
]
Cert = Annotated[str | None, typer.Option("--cert", metavar="FILE", help="A certificate that says who you are.", rich_help_panel=TLS)]
Key = Annotated[str | None, typer.Option("--key", metavar="FILE", help="Its key, not encrypted.", rich_help_panel=TLS)]
ServerName = Annotated[
    str | None, typer.Option("--server-name", metavar="NAME", help="The name that the broker's certificate has.", rich_help_panel=TLS)
]
TlsInsecure = Annotated[
    bool, typer.Option("--tls-insecure", help="Accept any certificate: whoever is on the way reads everything.", rich_help_panel=TLS)
]
Use = Annotated[bool, typer.Option("--use", help="Make it the current one, too.")]


@declare(app, "list", "context:list_contexts", effect=LOCAL, tabular=True, without=NOT_HERE)
def list_contexts() -> None:
    """List the contexts, and which is the current one.

    ev context list -o wide

    JSON: name, current, bootstrap, security, protected, readonly.
    """


@declare(app, "show", "context:show_context", effect=LOCAL, tabular=True, without=NOT_HERE)
def show_context(
    name: Annotated[str | None, typer.Argument(metavar="CONTEXT", help="The context; the current one if none.")] = None,
) -> None:
    """Show what a context says. It holds no secrets, only where they are.

    ev context show prod

    JSON: name, current; and what stands in the context: bootstrap, security, protected, readonly, sasl, tls, defaults.
    """


@declare(app, "current", "context:current_context", effect=LOCAL, tabular=True, without=NOT_HERE)
def current_context() -> None:
    """Say which context a command would use here and now; -v says why.

    ev context current -v

    JSON: name, bootstrap, because, protected, readonly.
    """


@declare(app, "use", "context:use_context", effect=LOCAL, without=NOT_HERE)
def use_context(name: Annotated[str, typer.Argument(metavar="CONTEXT", help="The context; - is the one before.")]) -> None:
    """Make a context the current one, which is meant when a command names no other. `local` is the local engine.

    ev context use local

    ev context use -
    """


@declare(app, "add", "context:add_context", effect=LOCAL, without=NOT_HERE)
def add_context(
    name: NewName,
    addresses: Addresses = None,
    security: SecurityProtocol = None,
    protected: Protected = False,
    readonly: Readonly = False,
    defaults: Defaults = None,
    use: Use = False,
    mechanism: Mechanism = None,
    username: Username = None,
    password_command: PasswordCommand = None,
    password_env: PasswordEnv = None,
    password_file: PasswordFile = None,
    keyring: Keyring = False,
    password_stdin: PasswordStdin = False,
    token_command: TokenCommand = None,
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    server_name: ServerName = None,
    tls_insecure: TlsInsecure = False,
) -> None:
    """Add a context. A password that nothing tells is asked for whenever a command needs it.

    ev context add test -b test:9092 --default consume.format=json

    ev context add live -b kafka1:9093,kafka2 --protected --ca ca.pem --mechanism PLAIN --username al --password-command 'pass kafka'
    """


@declare(app, "edit", "context:edit_context", effect=LOCAL, without=NOT_HERE)
def edit_context(
    name: Annotated[str | None, typer.Argument(metavar="CONTEXT", help="The context; with nothing else, your editor opens.")] = None,
    addresses: Addresses = None,
    security: SecurityProtocol = None,
    protected: Protected = False,
    readonly: Readonly = False,
    defaults: Defaults = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", metavar="KEY", help="Take a key away, like protected or tls.ca.")] = None,
    mechanism: Mechanism = None,
    username: Username = None,
    password_command: PasswordCommand = None,
    password_env: PasswordEnv = None,
    password_file: PasswordFile = None,
    keyring: Keyring = False,
    password_stdin: PasswordStdin = False,
    token_command: TokenCommand = None,
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    server_name: ServerName = None,
    tls_insecure: TlsInsecure = False,
) -> None:
    """Change a context: by options, or the whole configuration in $VISUAL or $EDITOR. What does not fit is not kept.

    ev context edit prod --readonly
    """


@declare(app, "rename", "context:rename_context", effect=LOCAL, without=NOT_HERE)
def rename_context(name: Name, new_name: Annotated[str, typer.Argument(metavar="NEW", help="What it is called from now on.")]) -> None:
    """Give a context another name.

    ev context rename staging stage
    """


@declare(app, "remove", "context:remove_contexts", effect=LOCAL, without=NOT_HERE)
def remove_contexts(
    names: Annotated[list[str], typer.Argument(metavar="CONTEXT…", help="Contexts.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove contexts from the configuration, and their passwords from the keyring. The clusters stay as they are.

    ev context remove stage -y
    """


@declare(app, "check", "context:check_contexts", effect=LOCAL, tabular=True, without=NOT_HERE[:-1])
def check_contexts(
    names: Annotated[list[str] | None, typer.Argument(metavar="CONTEXT…", help="Contexts; the current one if none.")] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Every context.")] = False,
) -> None:
    """Connect to clusters and say who answers. Exit status 4: nobody; 5: you are not let in.

    ev context check prod

    JSON: name, state, bootstrap, brokers, cluster_id, ms, message.
    """


@declare(app, "import", "context:import_contexts", effect=LOCAL, without=NOT_HERE)
def import_contexts(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A client's .properties, kcat.conf, kcl's TOML, rpk's YAML, or JSON.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What it is called, else as the file.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="In the place of contexts that are there.")] = False,
    keyring: Annotated[bool, typer.Option("--keyring", help="Passwords go into the keyring of the system, not into a file.")] = False,
    use: Use = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be added, and change nothing.")] = False,
) -> None:
    """Take over contexts from what another tool keeps. A password goes into a file of its own that only you can read.

    ev context import kcat.conf --name orders --dry-run

    ev context import rpk.yaml --use
    """
