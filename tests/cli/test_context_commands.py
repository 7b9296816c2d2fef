"""`ev context`: naming clusters, choosing among them, and taking them over from other tools."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import tomllib
from typing import Any

import pytest

from support.all_listeners import AllListeners
from support.command_line import CommandLine
from support.secure_brokers import PASSWORD, USER

KEYRING = """\
import json, os
PATH = os.environ["FAKE_KEYRING"]
def _all():
    return json.load(open(PATH)) if os.path.exists(PATH) else {}
def get_password(service, name):
    return _all().get(f"{service}:{name}")
def set_password(service, name, password):
    json.dump({**_all(), f"{service}:{name}": password}, open(PATH, "w"))
def delete_password(service, name):
    json.dump({key: value for key, value in _all().items() if key != f"{service}:{name}"}, open(PATH, "w"))
"""


@pytest.fixture(autouse=True)
def nothing_chosen(ev: CommandLine) -> None:
    """Only the configuration says which engine is meant."""
    for name in ("EV_DATA_DIR", "EV_LISTEN"):
        del ev.variables[name]
    ev.variables["EV_AUTOSTART"] = "0"


def configuration(ev: CommandLine) -> dict[str, Any]:
    return tomllib.loads((ev.directory / "config.toml").read_text())


def test_contexts_are_added_chosen_and_removed(ev: CommandLine) -> None:
    """`use -` goes back; what was current and is gone leaves the local engine."""
    assert ev.json("context", "list") == [
        {"name": "local", "current": True, "bootstrap": None, "security": "plaintext", "protected": False, "readonly": False}
    ]
    ev(
        "context",
        "add",
        "prod",
        "-b",
        "k1:9093,k2",
        "--protected",
        "--mechanism",
        "plain",
        "--username",
        "al",
        "--password-env",
        "PW",
        "--ca",
        "ca.pem",
    )
    ev("context", "add", "test", "-b", "t:1", "--use", "--default", "consume.format=json", "--default", "topic.list.no_headers=true")
    shown = ev.json("context", "show", "prod")
    assert shown["bootstrap"] == ["k1:9093", "k2"]
    assert shown["sasl"] == {"mechanism": "PLAIN", "username": "al", "password_env": "PW"}
    assert shown["tls"] == {"ca": os.path.join(os.getcwd(), "ca.pem")}
    assert ev.json("context", "show")["defaults"] == {"consume": {"format": "json"}, "topic": {"list": {"no_headers": True}}}
    assert ev("context", "current").lines == ["test"]
    ev("context", "use", "prod")
    ev("context", "use", "-")
    assert ev("context", "current").lines == ["test"]
    ev("context", "use", "-")
    assert ev.json("context", "current")["protected"] is True
    ev("context", "rename", "prod", "live")
    assert ev("context", "current").lines == ["live"]
    assert "needs a yes" in ev("context", "remove", "live", status=2).err
    assert "local engine again" in ev("contexts", "remove", "live", "-y").err
    assert ev("contexts", "-o", "name").lines == ["local", "test"]
    assert stat.S_IMODE((ev.directory / "config.toml").stat().st_mode) == 0o600


def test_a_mistake_changes_nothing(ev: CommandLine) -> None:
    """Exit 3 for a name that is not there, with the nearest; 2 for what does not fit; 1 for a name that is taken."""
    ev("context", "add", "prod", "-b", "k:1")
    before = (ev.directory / "config.toml").read_bytes()
    for status, said, arguments in [
        (3, "'prod'", ("use", "prdo")),
        (3, "'prod'", ("show", "prdo")),
        (3, "'prod'", ("remove", "prdo", "-y")),
        (3, "'prod'", ("rename", "prdo", "x")),
        (3, "'prod'", ("check", "prdo")),
        (3, "has no tls.ca", ("edit", "prod", "--unset", "tls.ca")),
        (1, "already", ("add", "prod", "-b", "k:1")),
        (1, "engine of this machine", ("add", "local", "-b", "k:1")),
        (1, "engine of this machine", ("rename", "prod", "local")),
        (1, "always there", ("remove", "local", "-y")),
        (2, "-b HOST:PORT", ("add", "x")),
        (2, "HOST:PORT", ("add", "x", "-b", "k:nonsense")),
        (2, "no name", ("add", "a/b", "-b", "k:1")),
        (2, "no name", ("add", "-", "-b", "k:1")),
        (2, "plaintext, ssl", ("add", "x", "-b", "k:1", "--security", "tls")),
        (2, "SCRAM-SHA-512", ("add", "x", "-b", "k:1", "--mechanism", "NTLM", "--username", "a", "--password-env", "A")),
        (
            2,
            "contradict",
            ("add", "x", "-b", "k:1", "--mechanism", "PLAIN", "--username", "a", "--password-env", "A", "--password-file", "B"),
        ),
        (2, "COMMAND.OPTION", ("add", "x", "-b", "k:1", "--default", "consume")),
        (2, "no context before", ("use", "-")),
        (2, "EDITOR", ("edit",)),
        (2, "for --keyring", ("add", "x", "-b", "k:1", "--password-stdin")),
    ]:
        done = ev("context", *arguments, status=status)
        assert said in done.err, arguments
        assert len(done.err.splitlines()) == 1
    assert (ev.directory / "config.toml").read_bytes() == before


def test_comments_stay_or_it_is_said_that_they_do_not(ev: CommandLine) -> None:
    """The file is the user's."""
    path = ev.directory / "config.toml"
    path.write_text('# mine\n[contexts.prod]  # live\nbootstrap = "k:1"  # one\n')
    ev("context", "edit", "prod", "--readonly")
    ev("context", "use", "prod")
    assert all(comment in path.read_text() for comment in ("# mine", "# live", "# one"))
    path.write_text('contexts = { prod = { bootstrap = "k:1" } }  # mine\n')
    assert "comments are lost" in ev("context", "edit", "prod", "--readonly").err
    assert configuration(ev) == {"contexts": {"prod": {"bootstrap": "k:1", "readonly": True}}}


def test_an_editor_may_change_it_if_it_fits(ev: CommandLine) -> None:
    """What does not fit stays in the copy, and the configuration as it was."""
    ev("context", "add", "prod", "-b", "k:1")
    done = ev("context", "edit", status=0, EDITOR="sed -i s/k:1/k:2/")
    assert "changed" in done.err
    assert configuration(ev)["contexts"]["prod"]["bootstrap"] == ["k:2"]
    done = ev("context", "edit", status=2, EDITOR="sed -i s/bootstrap/botstrap/")
    assert "'bootstrap'" in done.err
    copy = pathlib.Path(done.err.rsplit(" ", 1)[1].strip())
    assert "botstrap" in copy.read_text()
    copy.unlink()
    assert "nothing was changed" in ev("context", "edit", EDITOR="true").err
    assert "status 1" in ev("context", "edit", status=2, EDITOR="false").err
    assert configuration(ev)["contexts"]["prod"]["bootstrap"] == ["k:2"]


def test_check_says_who_answers(ev: CommandLine, listeners: AllListeners) -> None:
    """Exit 0; 5 when one is not let in, and 4 when nobody answers; with several the weightiest."""
    ev("context", "add", "open", "-b", listeners.open)
    login = ("--mechanism", "SCRAM-SHA-256", "--username", USER, "--password-env", "PW")
    ev("context", "add", "wrong", "-b", listeners.sasl, *login)
    ev("context", "add", "gone", "-b", "127.0.0.1:1")
    found = ev.json("context", "check", "open")[0]
    assert (found["name"], found["state"], found["brokers"]) == ("open", "ok", 1)
    assert found["cluster_id"]
    assert ev.json("context", "check", "gone", status=4)[0]["state"] == "unreachable"
    assert "check username, password" in ev("context", "check", "open", "gone", "wrong", status=5, PW="x").err
    assert ev("context", "check", "wrong", PW=PASSWORD).lines[0].startswith("wrong\tok")


def test_a_password_is_asked_for_where_nothing_tells_it(ev: CommandLine, engine_listeners: AllListeners) -> None:
    """At the terminal, unseen. Without one it is said what to write."""
    ev("context", "add", "prod", "-b", engine_listeners.sasl, "--mechanism", "SCRAM-SHA-256", "--username", USER)
    assert "password_command" in ev("-C", "prod", "topic", "list", status=2).err
    terminal = ev.terminal("-C", "prod", "topic", "list", "-o", "name")
    terminal.wait_for("Password of alice")
    terminal.type(f"{PASSWORD}\n")
    assert terminal.wait() == 0, terminal.seen
    assert PASSWORD not in terminal.seen
    terminal.close()


def test_a_password_is_kept_in_the_keyring_of_the_system(ev: CommandLine, engine_listeners: AllListeners) -> None:
    """Never in the configuration; it moves and goes with its context. Without the package it is said how to get it."""
    login = ("--mechanism", "SCRAM-SHA-256", "--username", USER, "--keyring", "--password-stdin")
    packages = ev.directory / "packages"
    packages.mkdir()
    (packages / "keyring.py").write_text("raise ImportError\n")
    sources = ev.variables["PYTHONPATH"]
    ev.variables["PYTHONPATH"] = f"{sources}:{packages}"
    assert "ev[keyring]" in ev("context", "add", "prod", "-b", engine_listeners.sasl, *login, data=b"x\n", status=2).err
    (packages / "keyring.py").write_text(KEYRING)
    kept = ev.directory / "kept.json"
    ev.variables["FAKE_KEYRING"] = str(kept)
    ev("context", "add", "prod", "-b", engine_listeners.sasl, *login, data=f"{PASSWORD}\n".encode())
    assert PASSWORD not in (ev.directory / "config.toml").read_text()
    ev("-C", "prod", "topic", "list")
    ev("context", "rename", "prod", "live")
    ev("-C", "live", "topic", "list")
    assert json.loads(kept.read_text()) == {f"ev:live/{USER}": PASSWORD}
    ev("context", "remove", "live", "-y")
    assert json.loads(kept.read_text()) == {}


PROPERTIES = f"""\
# a Java client's
bootstrap.servers=ADDRESS
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-256
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\
    username="{USER}" password="{PASSWORD}";
group.id=g
some.thing=x
"""
KCAT = f"""\
metadata.broker.list=ADDRESS
security.protocol=sasl_plaintext
sasl.mechanisms=SCRAM-SHA-256
sasl.username={USER}
sasl.password={PASSWORD}
"""
KCL = f"""\
current_profile = "prod"
[profiles.prod]
seed_brokers = ["ADDRESS"]
[profiles.prod.sasl]
method = "scram_sha_256"
user = "{USER}"
pass = "{PASSWORD}"
[profiles.local]
seed_brokers = ["127.0.0.1:1"]
"""
RPK = f"""\
version: 6
current_profile: prod
profiles:
    - name: prod
      kafka_api:
        brokers:
            - ADDRESS
        sasl:
            user: {USER}
            password: "{PASSWORD}"
            mechanism: SCRAM-SHA-256
      admin_api: {{}}
"""
JSON = json.dumps(
    {
        "bootstrap.servers": "ADDRESS",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": USER,
        "sasl.password": PASSWORD,
    }
)


@pytest.mark.parametrize(
    ("file", "content"),
    [("prod.properties", PROPERTIES), ("kcat.conf", KCAT), ("config.kcl.toml", KCL), ("rpk.yaml", RPK), ("client.json", JSON)],
)
def test_what_other_tools_keep_works_at_once(ev: CommandLine, engine_listeners: AllListeners, file: str, content: str) -> None:
    """The password goes into a file that only its owner can read, never into the configuration, and is never shown."""
    path = ev.directory / file
    path.write_text(content.replace("ADDRESS", engine_listeners.sasl))
    shown = ev("context", "import", str(path), "--dry-run")
    assert PASSWORD not in shown.out.decode() + shown.err
    assert not (ev.directory / "config.toml").exists()
    done = ev("context", "import", str(path), "--use")
    assert PASSWORD not in done.err
    assert PASSWORD not in (ev.directory / "config.toml").read_text()
    name = ev("context", "current").lines[0]
    secret = ev.directory / "passwords" / name
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == (f"{PASSWORD}\n", 0o600)
    assert ev("topic", "list").err == ""
    if file == "prod.properties":
        assert "some.thing is not taken over" in done.err
        assert "group.id" not in done.err
    if file == "config.kcl.toml":
        assert "config-local" in ev("contexts", "-o", "name").lines
    assert "--replace" in ev("context", "import", str(path), status=1).err
    ev("context", "import", str(path), "--replace")


def test_a_context_that_was_shown_as_json_comes_back(ev: CommandLine) -> None:
    """From one machine to another."""
    ev("context", "add", "prod", "-b", "k:1", "--protected", "--ca", "/x/ca.pem")
    (ev.directory / "prod.json").write_bytes(ev("context", "show", "prod", "--json").out)
    ev("context", "remove", "prod", "-y")
    ev("context", "import", str(ev.directory / "prod.json"))
    assert configuration(ev)["contexts"]["prod"] == {"bootstrap": ["k:1"], "protected": True, "tls": {"ca": "/x/ca.pem"}}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("none.properties", None, "cannot read"),
        ("x.properties", "nothing=here\n", "no bootstrap servers"),
        ("x.json", "{", "no JSON"),
        ("x.json", "[]", "no object"),
        ("x.toml", "seed_brokers = [", "no TOML"),
        ("x.yaml", "profiles:\n  - &a\n    name: x\n", "line 2"),
        ("x.yaml", "profiles:\n  - name: x\n    kafka_api: {brokers: [a]}\n", "line 3"),
        ("x.bin", b"\xff\xfe\x00", "no text"),
    ],
)
def test_a_file_that_says_nothing_useful_is_refused(ev: CommandLine, file: str, content: str | bytes | None, said: str) -> None:
    """One line with the file's name, and the line in it where that helps."""
    path = ev.directory / file
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = ev("context", "import", str(path), status=1)
    assert said in done.err
    assert file in done.err
    assert len(done.err.splitlines()) == 1


def test_what_cannot_be_taken_over_is_said(ev: CommandLine) -> None:
    """Java's key stores, host names that were not checked, keys that are encrypted."""
    path = ev.directory / "c.properties"
    path.write_text(
        "bootstrap.servers=k:1\nsecurity.protocol=SSL\nssl.truststore.location=/x/trust.jks\nssl.truststore.password=p\n"
        "ssl.endpoint.identification.algorithm=\nssl.key.password=q\nssl.key.location=me.key\nssl.certificate.location=me.pem\n"
    )
    done = ev("context", "import", str(path))
    assert "/x/trust.jks is no PEM file" in done.err
    assert "server_name" in done.err
    assert "encrypted" in done.err
    assert configuration(ev)["contexts"]["c"]["tls"] == {"cert": str(ev.directory / "me.pem"), "key": str(ev.directory / "me.key")}
