"""The same scripts show the same on ev, on one Apache Kafka and on three brokers."""

from __future__ import annotations

import contextlib
import pathlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.scenarios import apache_cluster, differences, ev_cluster, expected_differences, run

SCRIPTS = sorted(pathlib.Path(__file__).with_name("scenarios").glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_script_says_what_it_shows(script: pathlib.Path) -> None:
    """In its first line."""
    first = script.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_scripts_show_the_same_everywhere(tmp_path: pathlib.Path) -> None:
    """Lines of stdout and stderr, and exit statuses: but for ids, ports and times, and for what a script says of itself that it differs."""
    with contextlib.ExitStack() as stack:
        clusters = [
            stack.enter_context(ev_cluster(tmp_path / "engine")),
            stack.enter_context(apache_cluster(1)),
            stack.enter_context(apache_cluster(3)),
        ]
        with ThreadPoolExecutor(len(clusters)) as pool:
            found = list(pool.map(lambda cluster: [run(script, cluster, tmp_path) for script in SCRIPTS], clusters))
    complaints = []
    for place, script in enumerate(SCRIPTS):
        for cluster, shown in list(zip(clusters, found, strict=True))[1:]:
            expected = Counter(expected_differences(script.read_text(), cluster.name))
            there = Counter(differences(found[0][place], shown[place]))
            complaints += [f"{script.name}, {cluster.name}: not expected: {line}" for line in (there - expected).elements()]
            complaints += [f"{script.name}, {cluster.name}: did not come: {line}" for line in (expected - there).elements()]
    assert not complaints, "\n".join(complaints)
