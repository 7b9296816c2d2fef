"""`ev explain` knows every error of Kafka, every setting, and every exit status."""

from __future__ import annotations

import pytest

from ev.coarser_settings import COARSER
from ev.coordinators.group_config import GROUP_SETTINGS
from ev.errors import MESSAGES, ErrorCode
from ev.settings import TOPIC_SETTINGS, rows
from ev_cli.actions import explain
from ev_cli.exits import MEANINGS
from ev_cli.remedies import EXIT_REMEDIES, REMEDIES
from support.command_line import CommandLine


def test_every_error_has_a_meaning_and_a_remedy() -> None:
    """By Kafka's list of codes."""
    codes = {value for name, value in vars(ErrorCode).items() if name.isupper()}
    assert codes == set(MESSAGES) == set(REMEDIES)
    facts = explain.error_facts()
    assert all(fact["meaning"].endswith(".") and len(fact["remedy"]) > 10 for fact in facts)


def test_every_setting_is_known() -> None:
    """Of engine, topic and group, with default, values and how to set it; the doc says something for each."""
    facts = {(fact["kind"], fact["name"]): fact for fact in explain.setting_facts()}
    wanted = {("engine setting", name) for name in (*[row.name for row in rows()], *COARSER)} | {
        ("topic setting", name) for name in TOPIC_SETTINGS
    }
    assert set(facts) == wanted | {("group setting", name) for name in GROUP_SETTINGS}
    assert {name: setting.broker.name for name, setting in GROUP_SETTINGS.items() if setting.broker} == explain.GROUP_SETTINGS
    assert all(fact["meaning"] and fact["values"] and fact["name"] in fact["remedy"] for fact in facts.values())


def test_every_exit_status_is_known() -> None:
    """With what to do."""
    assert set(EXIT_REMEDIES) == set(MEANINGS) == {fact["code"] for fact in explain.exit_facts()}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["36"], ["TOPIC_ALREADY_EXISTS"]),
        (["5"], ["LEADER_NOT_AVAILABLE", "exit:5"]),
        (["error:5"], ["LEADER_NOT_AVAILABLE"]),
        (["exit:5"], ["exit:5"]),
        (["-1"], ["UNKNOWN_SERVER_ERROR"]),
        (["not_enough_replicas"], ["NOT_ENOUGH_REPLICAS"]),
        (["NotEnoughReplicasException"], ["NOT_ENOUGH_REPLICAS"]),
        (["retention.ms"], ["retention.ms"]),
        (["compression.type"], ["compression.type", "compression.type"]),
        (["EV_LOG_ROLL_MS"], ["log.roll.ms"]),
        (["consumer.session.timeout.ms", "3"], ["consumer.session.timeout.ms", "UNKNOWN_TOPIC_OR_PARTITION", "exit:3"]),
    ],
)
def test_it_understands_how_people_write(words: list[str], names: list[str]) -> None:
    """Names as Kafka, Java or the environment spell them, numbers of errors and exit statuses."""
    everything = [*explain.error_facts(), *explain.setting_facts(), *explain.exit_facts()]
    assert [fact["name"] for word in words for fact in explain.meant(word, everything)] == names


def test_it_is_text_for_a_person_and_rows_for_a_program(ev: CommandLine) -> None:
    """It starts no engine; what is unknown is exit 3 with the nearest."""
    text = ev("explain", "NOT_ENOUGH_REPLICAS", "exit:6").out.decode()
    assert "error 19" in text
    assert "min.insync.replicas" in text
    assert "Exit status 6" in text
    assert ev("explain", "36", "--json").json[0]["code"] == 36
    assert ev("explain", "retention.ms", "--json").json[0]["default"] == "604800000"
    assert len(ev.json("explain")) > 250
    assert "retention.ms" in ev("explain", "retention.m", status=3).err
    assert not ev.data_dir.exists()
