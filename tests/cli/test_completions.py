"""What TAB does in each shell: the scripts are those of the command tree, and the names those that a command has seen."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from ev_cli.remembered import Names
from ev_cli.session import Target
from generate import completions
from support.command_line import CommandLine
from support.shells import Shell

HOSTILE = "evil $(touch pwned) `touch pwned`; 'x"


def test_the_completions_are_those_of_the_tree() -> None:
    """Whoever changes a command runs `python -m generate.completions`."""
    wanted = completions.scripts()
    there = {path.name: path.read_text() for path in completions.COMPLETIONS.iterdir()}
    assert sorted(there) == sorted(wanted)
    for name, script in wanted.items():
        assert there[name] == script, f"{name} is stale: run python -m generate.completions"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ev gr", "group groups"),
        ("ev topic des", "describe"),
        ("ev topics del", "delete"),
        ("ev -b localhost:9092 group l", "list lag"),
        ("ev consume --exit", "--exit-at-end"),
        ("ev consume payments --comm", "--commit"),
        ("ev server sta", "start status"),
        ("ev --ver", "--version"),
        ("ev topic list --color al", "always"),
        ("ev topic list -o ta", "table"),
        ("ev completion po", "powershell"),
        ("ev group -q describe --sec", "--section"),
    ],
)
def test_tab_in_bash(line: str, found: str) -> None:
    """Without starting Python."""
    words = line.split(" ")
    typed = " ".join(word or '""' for word in words)
    script = f'source "{completions.COMPLETIONS}/ev.bash"; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _ev; echo "${{COMPREPLY[*]}}"'
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, check=True, timeout=30, env={"PATH": "/nowhere", "HOME": "/"}
    )
    assert done.stdout.strip() == found
    assert done.stderr == ""


@pytest.fixture(params=["bash", pytest.param("zsh", marks=pytest.mark.zsh), pytest.param("fish", marks=pytest.mark.fish)])
def shell(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell of somebody who has used ev: with contexts, and names that were seen on three engines."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "EV_DATA_DIR", "EV_CONTEXT", "EV_BOOTSTRAP", "EV_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    config = tmp_path / ".config" / "ev"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[contexts.prod]\nbootstrap = "h:1"\n[contexts.prod.tls]\nca = "x"\n[contexts."with.dot"]\n')
    Names(Target("local")).remember("topics", ["payments", "orders"])
    Names(Target("local")).remember("groups", ["billing", HOSTILE, "with:colon"])
    Names(Target("prod", "h:1")).remember("topics", ["productive"])
    Names(Target("localhost:9092", "localhost:9092")).remember("topics", ["clustered"])
    Names(Target("local", data_dir=str(tmp_path / "own"))).remember("topics", ["owned"])
    (tmp_path / "file.txt").touch()
    found = Shell(request.param, completions.COMPLETIONS, tmp_path, {})
    yield found
    found.close()


def test_tab_in_a_real_shell(shell: Shell, tmp_path: pathlib.Path) -> None:
    """Nouns, verbs, options, choices; topics, groups and contexts of the engine that the line names; a name is one word, always."""
    assert shell.run("ev cons\tpay\t") == ["consume", "payments"]
    assert shell.run("ev topic desc\tord\t") == ["topic", "describe", "orders"]
    assert shell.run("ev topics desc\tord\tpay\t") == ["topics", "describe", "orders", "payments"]
    assert shell.run("ev consume --exit\tpay\t") == ["consume", "--exit-at-end", "payments"]
    assert shell.run("ev consume -g bil\tpay\t") == ["consume", "-g", "billing", "payments"]
    assert shell.run("ev consume --group=bil\t") == ["consume", "--group=billing"]
    assert shell.run("ev topic list -o wi\t") == ["topic", "list", "-o", "wide"]
    assert shell.run("ev topic list --color=nev\t") == ["topic", "list", "--color=never"]
    assert shell.run("ev topic list -C pr\t") == ["topic", "list", "-C", "prod"]
    assert shell.run("ev topic list -C wi\t") == ["topic", "list", "-C", "with.dot"]
    assert shell.run("ev -C prod consume pr\t") == ["-C", "prod", "consume", "productive"]
    assert shell.run("ev -b localhost:9092 topic describe cl\t") == ["-b", "localhost:9092", "topic", "describe", "clustered"]
    assert shell.run("ev consume --data-dir own ow\t") == ["consume", "--data-dir", "own", "owned"]
    assert shell.run("ev produce payments fi\t") == ["produce", "payments", "file.txt"]
    assert shell.run("ev group describe wit\t") == ["group", "describe", "with:colon"]
    assert shell.run("ev group describe ev\t") == ["group", "describe", HOSTILE]
    assert not (tmp_path / "pwned").exists()


def test_tab_in_a_project(shell: Shell, tmp_path: pathlib.Path) -> None:
    """The context that .ev.toml names, up to the root of the repository and no further. What the line says comes before."""
    project = tmp_path / ".ev.toml"
    project.write_text('# ours\ncontext = "prod"\n[defaults]\ncontext = "other"\n')
    assert shell.run("ev consume pr\t") == ["consume", "productive"]
    assert shell.run("ev -b localhost:9092 consume cl\t") == ["-b", "localhost:9092", "consume", "clustered"]
    assert shell.run("mkdir -p inner/deep; cd inner/deep; ev there") == ["there"]
    assert shell.run("ev consume pr\t") == ["consume", "productive"]
    assert shell.run("mkdir ../.git; ev there") == ["there"]
    assert shell.run("ev consume pay\t") == ["consume", "payments"]


def test_names_are_those_that_commands_have_seen(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Of the engine that they spoke to; what was deleted is gone, and what no line could hold is left out."""
    ev("topic", "create", "old", "new")
    ev("topic", "list")
    folder = tmp_path / ".cache" / "ev" / "complete" / f"in={str(ev.data_dir).replace('/', '%')}"
    assert (folder / "topics").read_text() == "new\nold\n"
    ev("topic", "delete", "old", "-y")
    assert (folder / "topics").read_text() == "new\n"
    ev("consume", "new", "-g", "a\nb", "-e", status=None)
    ev("consume", "new", "-g", "fine group", "-e", status=None)
    ev("group", "list")
    assert (folder / "groups").read_text() == "fine group\n"
    ev("-b", ev.address, "topic", "list")
    assert (folder.parent / f"on={ev.address}" / "topics").read_text() == "new\n"
    assert not [path for path in folder.iterdir() if "." in path.name]


def test_a_cache_that_cannot_be_written_changes_nothing(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """No home, a file where the folder should be: names are not remembered, and that is all."""
    (tmp_path / ".cache").write_text("")
    ev("topic", "create", "t")
    assert ev("topic", "list", "-o", "name").lines == ["t"]
    assert ev("topic", "list", "-o", "name", HOME=str(tmp_path / ".cache" / "home")).lines == ["t"]


def test_the_scripts_are_written_and_installed(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """To stdout, or to where each shell looks; an unknown shell is a usage error."""
    for shell, name in (("bash", "ev.bash"), ("zsh", "_ev"), ("fish", "ev.fish"), ("powershell", "ev.ps1")):
        assert ev("completion", shell).out.decode() == (completions.COMPLETIONS / name).read_text()
    assert ".local/share/bash-completion/completions/ev" in ev("completion", "install", SHELL="/bin/bash").err
    ev("completion", "install", "--shell", "zsh", "--shell", "fish", "-q")
    for place in (".local/share/bash-completion/completions/ev", ".local/share/zsh/site-functions/_ev", ".config/fish/completions/ev.fish"):
        assert (tmp_path / place).read_text() in completions.scripts().values()
    assert "csh" in ev("completion", "csh", status=2).err
    assert "--shell" in ev("completion", "install", status=2, SHELL="").err
    assert not ev.data_dir.exists()


def test_the_scripts_start_no_python() -> None:
    """Pressing TAB has to be quick."""
    for text in completions.scripts().values():
        assert "python" not in text.replace("`python -m generate.completions`", "").lower()
