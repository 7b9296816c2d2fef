"""The catalog of APIs agrees with the generated modules, and those with their source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ev.errors import ErrorCode, KafkaError
from ev.wire import messages
from ev.wire.catalog import AMONG_BROKERS, API, FLEXIBLE_FROM, api, api_by_name, api_name

GENERATOR = Path(__file__).parents[2] / "engine" / "codegen" / "generate.py"


def test_every_api_has_its_module_and_the_versions_of_its_messages() -> None:
    """Key, name, versions and flexibility are those of the request and the response."""
    for key, found in API.items():
        assert found.key == key
        for cls, side in ((found.request, "Request"), (found.response, "Response")):
            assert cls.__name__ == found.name + side
            assert cls.__module__ == found.module
            assert (found.min_version, found.max_version) == cls.VERSIONS
            assert cls.FLEXIBLE == found.flexible_from == FLEXIBLE_FROM.get(key)
        assert f".k{key:02}_" in found.module


def test_every_module_is_in_the_catalog() -> None:
    """No API is generated and then forgotten."""
    there = {path.stem for path in Path(messages.__path__[0]).glob("k*.py")}
    assert there == {found.module.rpartition(".")[2] for found in API.values()}


def test_an_api_is_found_by_key_and_by_name() -> None:
    """And what does not exist is refused as Kafka does it."""
    assert api(8) is api_by_name("OffsetCommit")
    with pytest.raises(KafkaError, match="no API with the key 4") as by_key:
        api(4)
    with pytest.raises(KafkaError, match="no API called LeaderAndIsr") as by_name:
        api_by_name("LeaderAndIsr")
    assert by_key.value.code == by_name.value.code == ErrorCode.UNSUPPORTED_VERSION


def test_every_key_of_kafka_has_a_name() -> None:
    """Those that brokers use among themselves too: they are listed with the others. No key has two."""
    assert not API.keys() & AMONG_BROKERS.keys()
    assert [key for key in range(93) if not api_name(key)] == []
    assert (api_name(83), api_name(0), api_name(4000)) == ("InitializeShareGroupState", "Produce", "")


def test_the_generated_modules_are_fresh() -> None:
    """engine/codegen makes the modules that are in the tree, byte for byte."""
    done = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
