"""`ev -C NAME` at clusters that want to know who one is: what a context says, and what is said when it does not fit."""

from __future__ import annotations

import pathlib
import uuid

import pytest

from support.all_listeners import AllListeners
from support.command_line import CommandLine
from support.secure_brokers import PASSWORD, USER


@pytest.fixture
def name() -> str:
    """A topic's or group's name that no other test has."""
    return f"t-{uuid.uuid4().hex[:12]}"


def write(ev: CommandLine, context: str) -> pathlib.Path:
    """The configuration, with one context that is called prod."""
    path = ev.directory / "config.toml"
    path.write_text(f"[contexts.prod]\n{context}")
    return path


def write_sasl(ev: CommandLine, address: str, sasl: str, *, username: str = USER) -> None:
    write(ev, f'bootstrap = "{address}"\n[contexts.prod.sasl]\nmechanism = "SCRAM-SHA-256"\nusername = "{username}"\n{sasl}\n')


def test_every_command_speaks_to_a_secured_cluster(ev: CommandLine, listeners: AllListeners, name: str) -> None:
    """SASL over TLS, the password from a program that is run once; no engine of one's own is started."""
    (ev.directory / "password").write_text(PASSWORD)
    (ev.directory / "ca.pem").write_text(pathlib.Path(listeners.ca).read_text())
    write(
        ev,
        f'bootstrap = ["{listeners.sasl_tls}"]\nsecurity = "sasl_ssl"\n'
        f'[contexts.prod.sasl]\nmechanism = "SCRAM-SHA-512"\nusername = "{USER}"\n'
        f"password_command = \"sh -c 'echo x >>{ev.directory}/asked; cat {ev.directory}/password'\"\n"
        '[contexts.prod.tls]\nca = "ca.pem"\n',
    )
    ev.variables["EV_CONTEXT"] = "prod"
    ev("topic", "create", name, "-p", "2")
    ev("produce", name, data=b"1\n2\n3\n")
    (ev.directory / "asked").unlink()
    assert sorted(ev("consume", name, "-g", name, "-n", "3").lines) == ["1", "2", "3"]
    assert (ev.directory / "asked").read_text() == "x\n"
    assert sum(row["committed"] or 0 for row in ev.json("group", "describe", name)["lag"] if row["committed"]) == 3
    assert name in ev("topic", "list", "-o", "name").lines
    assert name in ev("-C", "prod", "group", "list", "-o", "name").lines
    assert not ev.data_dir.exists()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"])
def test_passwords_and_tokens_come_from_files_variables_and_programs(ev: CommandLine, listeners: AllListeners, mechanism: str) -> None:
    """Whatever the mechanism; a file is looked for beside the configuration."""
    what, secret = ("token", listeners.token()) if mechanism == "OAUTHBEARER" else ("password", PASSWORD)
    kept = ev.directory / "kept"
    kept.write_text(f"{secret}\n")
    kept.chmod(0o600)
    username = "" if what == "token" else f'username = "{USER}"\n'
    for source in (f'{what}_file = "kept"', f'{what}_env = "KEPT"', f'{what}_command = ["cat", "{kept}"]'):
        write(ev, f'bootstrap = "{listeners.sasl}"\n[contexts.prod.sasl]\nmechanism = "{mechanism}"\n{username}{source}\n')
        assert ev("-C", "prod", "topic", "list", KEPT=secret).err == ""
    kept.chmod(0o644)
    write(ev, f'bootstrap = "{listeners.sasl}"\n[contexts.prod.sasl]\nmechanism = "{mechanism}"\n{username}{what}_file = "kept"\n')
    assert "chmod 600" in ev("-C", "prod", "topic", "list").err
    assert ev("-C", "prod", "topic", "list", "-q").err == ""


def test_a_certificate_shows_who_one_is(ev: CommandLine, listeners: AllListeners) -> None:
    """Where the broker insists on one."""
    write(
        ev,
        f'bootstrap = "{listeners.mutual}"\nsecurity = "ssl"\n[contexts.prod.tls]\n'
        f'ca = "{listeners.ca}"\ncert = "{listeners.client.chain}"\nkey = "{listeners.client.key}"\n',
    )
    ev("-C", "prod", "topic", "list")
    write(ev, f'bootstrap = "{listeners.mutual}"\n[contexts.prod.tls]\ninsecure = true\n')
    done = ev("-C", "prod", "topic", "list", status=None)
    assert done.status in (4, 5)
    assert "certificate of the client" in done.err


@pytest.mark.parametrize(
    "verb", [("topic", "list"), ("produce", "t"), ("consume", "t", "-e"), ("consume", "t", "-g", "g"), ("group", "list")]
)
def test_who_is_refused_is_told_so_at_once(ev: CommandLine, listeners: AllListeners, verb: tuple[str, ...]) -> None:
    """One line with what to do, exit 5, and nothing of the password."""
    write_sasl(ev, listeners.sasl, 'password_env = "SECRET"')
    done = ev("-C", "prod", *verb, data=b"x\n", status=5, timeout_s=20, SECRET="open-sesame")
    assert len(done.err.splitlines()) == 1
    assert "check username, password" in done.err
    assert "sesame" not in done.err


def test_each_way_to_be_refused_says_what_to_do(ev: CommandLine, listeners: AllListeners) -> None:
    """An unknown user, an expired certificate, another host's, an unknown authority; a listener without TLS, or without SASL."""
    write_sasl(ev, listeners.sasl, 'password_env = "SECRET"', username="mallory")
    cases: list[tuple[str, int, str]] = [("", 5, "'mallory'")]
    ca = f'[contexts.prod.tls]\nca = "{listeners.ca}"\n'
    cases += [(f'bootstrap = "{listeners.expired}"\n{ca}', 5, "renewed"), (f'bootstrap = "{listeners.strange}"\n{ca}', 5, "server_name")]
    cases += [
        (f'bootstrap = "{listeners.tls}"\nsecurity = "ssl"\n', 5, "as ca"),
        (f'bootstrap = "{listeners.open}"\n{ca}', 4, "may not speak TLS"),
    ]
    cases += [(f'bootstrap = "{listeners.sasl}"\n', 4, "may want SASL"), (f'bootstrap = "{listeners.tls}"\n', 4, "TLS")]
    for context, status, said in cases:
        if context:
            write(ev, context)
        done = ev("-C", "prod", "topic", "list", status=status, timeout_s=20, SECRET="x")
        assert said in done.err
        assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ('security = "tls"', "plaintext, ssl"),
        ('security = "sasl_ssl"', "[contexts.prod.sasl]"),
        ('security = "ssl"\n[contexts.prod.sasl]\nmechanism = "PLAIN"', "drop one"),
        ('security = "sasl_plaintext"\n[contexts.prod.tls]\n[contexts.prod.sasl]\nmechanism = "PLAIN"', "drop one"),
        ('sasl = "alice"', "no table"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword = "p"', "password_command, password_env or password_file"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"', "has no password"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\npassword_env = "HOME"', "takes a username"),
        ('[contexts.prod.sasl]\nmechanism = "NTLM"\nusername = "a"\npassword_env = "HOME"', "SCRAM-SHA-512"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword_env = "A"\npassword_file = "B"', "contradict"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\nkeyring = 1', "true or false"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = 1', "no text"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword_env = "NO_SUCH_VARIABLE"', "NO_SUCH_VARIABLE"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword_file = "nowhere"', "nowhere"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword_command = "no-such-program"', "no-such-program"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword_command = "a \\"b"', "words"),
        ('[contexts.prod.sasl]\nmechanism = "PLAIN"\nusername = "a"\npassword_command = 1', "no command"),
        ('[contexts.prod.sasl]\nmechanism = "OAUTHBEARER"\ntoken_env = "HOME"\nextensions = 1', "extensions"),
        ("[contexts.prod.tls]\ninsecure = 1", "true or false"),
        ('[contexts.prod.tls]\nca = "nowhere.pem"', "nowhere.pem"),
        ('[contexts.prod.tls]\nkey = "me.key"', "without a certificate"),
    ],
)
def test_a_context_that_does_not_fit_is_a_usage_error(ev: CommandLine, context: str, said: str) -> None:
    """One line, exit 2; nobody is spoken to."""
    write(ev, f'bootstrap = "127.0.0.1:1"\n{context}\n')
    done = ev("-C", "prod", "topic", "list", status=2)
    assert said in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [
        'password = "x"',
        'context = "prod"\n[contexts.prod]\nbootstrap = "h:1"',
        '[sasl]\nusername = "a"',
        '[here]\npassword_command = "make me"',
        'token_env = "A"',
    ],
)
def test_a_project_holds_no_secrets(ev: CommandLine, content: str) -> None:
    """Nor where to get them, as that could be a command which somebody else has chosen."""
    (ev.directory / ".ev.toml").write_text(content)
    del ev.variables["EV_DATA_DIR"], ev.variables["EV_LISTEN"]
    done = ev.shell("ev topic list")
    ev.variables["EV_DATA_DIR"] = str(ev.data_dir)
    assert done.status == 2
    assert "your own configuration" in done.err
