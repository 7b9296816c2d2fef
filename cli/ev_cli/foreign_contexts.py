"""Contexts out of what other tools keep about clusters: what their files say in their words, said in ours.

    .properties, kcat.conf, librdkafka's    bootstrap.servers=…           one cluster
    JSON                                    the same as one object; or what `ev context show --json` gives
    kcl (TOML)                              seed_brokers, [profiles.X]    several
    rpk (YAML)                              profiles: with kafka_api:     several

A password that stands in such a file comes out beside the context, never in it; where it is kept decides who imports it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib

from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Table = dict[str, Any]

PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
LOGIN = re.compile(r"""([A-Za-z_.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;"']+))""")

# What says nothing about where a cluster is and how to speak to it.
NOT_ABOUT_THE_CLUSTER = ("client.id", "group.id", "acks", "enable.", "auto.", "key.", "value.", "compression", "batch.", "linger.", "max.")


class Foreign:
    """One context as it was found: its table, the password that stood with it, and what could not be taken over."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.table: Table = {}
        self.password: str | None = None
        self.remarks: list[str] = []

    def part(self, name: str) -> Table:
        found: Table = self.table.setdefault(name, {})
        return found


def read(path: str, name: str | None) -> tuple[list[Foreign], str | None]:
    """What a file has, and which of them it calls the current one. A file that has one context gives it the name asked for."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is no text", "there can be .properties, kcat.conf, kcl's TOML, rpk's YAML and JSON") from None
    usual = name or named_after(path)
    found, current = _read(path, text, usual)
    if not found or not all(one.table.get("bootstrap") for one in found):
        raise Failure(f"{path} names no bootstrap servers", "is it the file of a client?")
    folder = os.path.dirname(os.path.abspath(path))
    for one in found:
        _make_absolute(one, folder)
        if one.name == "local":
            one.name = f"{named_after(path)}-local"
            one.remarks.append("it was called local, which is the engine of this machine")
    if name is not None and len(found) == 1:
        found[0].name = name
    return found, f"{named_after(path)}-local" if current == "local" else current


def named_after(path: str) -> str:
    stem = os.path.basename(path).lstrip(".").partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "imported"


def _read(path: str, text: str, usual: str) -> tuple[list[Foreign], str | None]:
    stripped = text.lstrip()
    if path.endswith(".json") or stripped.startswith("{"):
        try:
            table = json.loads(text)
        except ValueError as error:
            raise Failure(f"{path} is no JSON: {error}") from None
        return _from_json(path, table, usual)
    if path.endswith((".yaml", ".yml")) or re.search(r"^(profiles|kafka_api|rpk):", text, re.MULTILINE):
        from ev_cli import plain_yaml

        try:
            table = plain_yaml.loads(text)
        except plain_yaml.PlainYamlError as error:
            raise Failure(f"{path}: {error}", "make it plainer, or `ev context add`") from None
        return _from_rpk(table if isinstance(table, dict) else {}, usual)
    if path.endswith(".toml") or re.search(r"^\s*(seed_brokers\s*=|\[profiles)", text, re.MULTILINE):
        try:
            return _from_kcl(tomllib.loads(text), usual)
        except tomllib.TOMLDecodeError as error:
            raise Failure(f"{path} is no TOML: {error}") from None
    return [from_properties(properties_of(text), usual)], None


# -- .properties -----------------------------------------------------------------------------------------------------------------


def properties_of(text: str) -> dict[str, str]:
    """Java's .properties, which librdkafka's files are too: = or : or a space between, \\ at the end of a line goes on."""
    found: dict[str, str] = {}
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\\r?\n[ \t]*", r"\1", text)
    for raw in joined.splitlines():
        line = raw.strip()
        if not line or line[0] in "#!" or line.startswith("["):
            continue
        match = re.match(r"((?:\\.|[^\s=:])+)\s*[=:]?\s*(.*)$", line)
        if match is not None:
            found[_unescaped(match[1])] = _unescaped(match[2])
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", lambda match: _escape(match[1]), text)


def _escape(text: str) -> str:
    if len(text) == 5:
        return chr(int(text[1:], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}.get(text, text)


def from_properties(properties: dict[str, str], name: str) -> Foreign:
    """The settings of a Java client or of librdkafka."""
    found = Foreign(name)
    left = {key: value for key, value in properties.items() if value != ""}
    left.update({key: value for key, value in properties.items() if key == "ssl.endpoint.identification.algorithm"})

    def take(*keys: str) -> str | None:
        values = [left.pop(key) for key in keys if key in left]
        return values[0] if values else None

    _bootstrap(found, take("bootstrap.servers", "metadata.broker.list"))
    protocol = (take("security.protocol") or "").lower()
    if protocol in PROTOCOLS:
        found.table["security"] = protocol
    _take_sasl(found, take)
    _take_tls(found, take)
    _tidy(found, protocol)
    for key in left:
        if not key.startswith(NOT_ABOUT_THE_CLUSTER):
            found.remarks.append(f"{key} is not taken over")
    return found


def _take_sasl(found: Foreign, take: Any) -> None:
    mechanism, username, password = take("sasl.mechanism", "sasl.mechanisms"), take("sasl.username"), take("sasl.password")
    jaas = take("sasl.jaas.config") or ""
    login = {match[0]: _unescaped(match[1] or match[2] or match[3]) for match in LOGIN.findall(jaas)}
    username, password = username or login.get("username"), password or login.get("password")
    if mechanism or username:
        part = found.part("sasl")
        part["mechanism"] = (mechanism or "PLAIN").upper()
        if username:
            part["username"] = username
        found.password = password


def _take_tls(found: Foreign, take: Any) -> None:
    tls: Table = {}
    kinds = {"ca": take("ssl.truststore.type"), "cert": take("ssl.keystore.type")}
    files = {
        "ca": take("ssl.ca.location", "ssl.truststore.location"),
        "cert": take("ssl.certificate.location"),
        "key": take("ssl.key.location"),
    }
    keystore = take("ssl.keystore.location")
    if keystore is not None and files["cert"] is None:
        files["cert"] = files["key"] = keystore
    for key, path in files.items():
        kind = (kinds.get("ca" if key == "ca" else "cert") or "").upper()
        if path is None:
            continue
        if path.endswith((".jks", ".p12", ".pfx", ".keystore", ".truststore")) or (kind and kind != "PEM"):
            found.remarks.append(f"{path} is no PEM file: convert it with keytool and openssl, and set tls.{key}")
        else:
            tls[key] = path
    for secret in ("ssl.truststore.password", "ssl.keystore.password", "ssl.key.password"):
        if take(secret) is not None and secret == "ssl.key.password":
            found.remarks.append("the key is encrypted, and ev takes keys that are not")
    if (take("enable.ssl.certificate.verification") or "").lower() == "false":
        tls["insecure"] = True
        if tls.pop("ca", None) is not None:
            found.remarks.append("certificates are not checked, so that the authority means nothing")
    if take("ssl.endpoint.identification.algorithm") in ("", "none"):
        found.remarks.append("the host's name was not checked: set tls.server_name to the name that the certificate has")
    if tls:
        found.table["tls"] = tls


def _bootstrap(found: Foreign, addresses: Any) -> None:
    listed = addresses.split(",") if isinstance(addresses, str) else addresses if isinstance(addresses, list) else []
    found.table["bootstrap"] = [str(address).strip().rpartition("://")[2] for address in listed if str(address).strip()]


def _tidy(found: Foreign, protocol: str) -> None:
    """What the protocol does not use is said, and left out."""
    for part, used in (("sasl", protocol.startswith("sasl_")), ("tls", protocol.endswith("ssl"))):
        if protocol in PROTOCOLS and part in found.table and not used:
            del found.table[part]
            found.remarks.append(f"security.protocol is {protocol.upper()}, so that what is said of {part.upper()} is left out")
    if protocol.endswith("ssl"):
        found.part("tls")
    if "sasl" not in found.table:
        found.password = None


# -- JSON, kcl, rpk --------------------------------------------------------------------------------------------------------------


def _from_json(path: str, table: Any, usual: str) -> tuple[list[Foreign], str | None]:
    if not isinstance(table, dict):
        raise Failure(f"{path} is no object", "write the client's settings, or what `ev context show --json` gives")
    if "bootstrap" in table:
        found = Foreign(str(table.get("name") or usual))
        found.table = {key: value for key, value in table.items() if key not in ("name", "current")}
        return [found], None
    return [from_properties({key: _text(value) for key, value in table.items()}, usual)], None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _from_kcl(table: Table, usual: str) -> tuple[list[Foreign], str | None]:
    profiles = table.get("profiles")
    if not isinstance(profiles, dict):
        return [_kcl_profile(table, usual)], None
    current = table.get("current_profile")
    found = [_kcl_profile(profile, name) for name, profile in profiles.items() if isinstance(profile, dict)]
    return found, str(current) if current else None


def _kcl_profile(profile: Table, name: str) -> Foreign:
    found = Foreign(name)
    _bootstrap(found, profile.get("seed_brokers"))
    names = {
        "ca_cert_path": "ca",
        "client_cert_path": "cert",
        "client_key_path": "key",
        "server_name": "server_name",
        "insecure": "insecure",
    }
    _renamed(found, "tls", profile.get("tls"), names)
    sasl = profile.get("sasl")
    if isinstance(sasl, dict) and sasl.get("method"):
        _sasl(found, str(sasl["method"]), sasl.get("user"), sasl.get("pass"))
    return found


def _from_rpk(table: Table, usual: str) -> tuple[list[Foreign], str | None]:
    profiles = table.get("profiles") or [{"name": usual, **(table.get("rpk") or table)}]
    current = table.get("current_profile")
    found = []
    for profile in profiles if isinstance(profiles, list) else ():
        api = profile.get("kafka_api") if isinstance(profile, dict) else None
        if not isinstance(api, dict):
            continue
        one = Foreign(str(profile.get("name") or usual))
        _bootstrap(one, api.get("brokers"))
        names = {
            "ca_file": "ca",
            "truststore_file": "ca",
            "cert_file": "cert",
            "key_file": "key",
            "insecure_skip_verify": "insecure",
        }
        _renamed(one, "tls", api.get("tls"), names)
        sasl = api.get("sasl")
        if isinstance(sasl, dict) and sasl.get("user"):
            _sasl(one, str(sasl.get("mechanism") or "SCRAM-SHA-256"), sasl.get("user"), sasl.get("password"))
        found.append(one)
    return found, str(current) if current else None


def _renamed(found: Foreign, part: str, table: Any, names: dict[str, str]) -> None:
    if not isinstance(table, dict):
        return
    new = found.part(part)
    for key, value in table.items():
        if key in names and value not in (None, "", False):
            new[names[key]] = value
        elif value not in (None, "", [], False) and key != "enabled":
            found.remarks.append(f"{part}.{key} is not taken over")
    if new.get("insecure") and new.pop("ca", None) is not None:
        found.remarks.append("certificates are not checked, so that the authority means nothing")


def _sasl(found: Foreign, mechanism: str, username: Any, password: Any) -> None:
    spelled = mechanism.upper().replace("_", "-")
    spelled = {"SCRAM-SHA256": "SCRAM-SHA-256", "SCRAM-SHA512": "SCRAM-SHA-512"}.get(spelled, spelled)
    found.table["sasl"] = {"mechanism": spelled, **({"username": str(username)} if username else {})}
    found.password = None if password in (None, "") else str(password)


def _make_absolute(found: Foreign, folder: str) -> None:
    """Paths are meant from where the file is, or from where its tool was started, which nobody knows any more."""
    tls = found.table.get("tls")
    for key in ("ca", "cert", "key"):
        if isinstance(tls, dict) and isinstance(tls.get(key), str):
            tls[key] = os.path.join(folder, os.path.expanduser(tls[key]))
