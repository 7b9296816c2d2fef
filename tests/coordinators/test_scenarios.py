"""Conversations with the group coordinator, written down in `scenarios/*.txt`; `support.conversation` explains the notation."""

from __future__ import annotations

import pathlib

import pytest

from support.conversation import EVENTS, Conversation, Scenario, scenarios

SCENARIOS = list(scenarios(pathlib.Path(__file__).parent / "scenarios"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_a_conversation_goes_as_it_is_written(scenario: Scenario) -> None:
    """After each event happens exactly what the next lines say, in that order."""
    conversation = Conversation()
    played: list[str] = []
    for line in scenario.lines:
        if line.split()[0] in EVENTS or "> " in line:
            played += [line, *conversation.play(line)]
    assert "\n".join(played) == "\n".join(scenario.lines)
