"""Names in certificates: as Java writes them, and what the rules make of them."""

from __future__ import annotations

import pathlib
import ssl
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.errors import MalformedError, SettingError
from ev.security.certificates import PrincipalRules, subject_of
from support.certificates import Authority

SUBJECTS = {
    "/CN=alice": "CN=alice",
    "/C=DE/ST=Bayern/L=München/O=Example, Inc./OU=events/CN=alice": r"CN=alice,OU=events,O=Example\, Inc.,L=München,ST=Bayern,C=DE",
    "/DC=org/DC=example/UID=u1/CN=a": "CN=a,UID=u1,DC=example,DC=org",
    r"/O=a\+b/CN=x": r"CN=x,O=a\+b",
    '/CN=a=b<c>;"#\\\\': r"CN=a\=b\<c\>\;\"\#\\",
    "/CN= padded  ": r"CN=\ padded\ \ ",
    "/OU=one+CN=two": "CN=two+OU=one",
    "/CN=mail/emailAddress=a@example.org": "1.2.840.113549.1.9.1=#160d61406578616d706c652e6f7267,CN=mail",
    "/CN=x/serialNumber=42/street=Main/title=Dr": "2.5.4.12=#0c024472,STREET=Main,2.5.4.5=#13023432,CN=x",
}
NAME = "CN=alice,OU=events,O=Example"


def der(path: pathlib.Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("subject", list(SUBJECTS))
def test_a_subject_is_written_as_in_rfc_2253(authority: Authority, subject: str) -> None:
    """The most special part first, what has a meaning marked, types without a name in numbers."""
    issued = authority.issue(f"subject-{list(SUBJECTS).index(subject)}", subject)
    assert subject_of(der(issued.chain)) == SUBJECTS[subject]


JAVA = """
import java.io.FileInputStream;
import java.security.cert.*;
public class Subject {
    public static void main(String[] paths) throws Exception {
        System.setOut(new java.io.PrintStream(System.out, true, "UTF-8"));
        for (String path : paths) {
            var found = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(path));
            System.out.println(found.getSubjectX500Principal().getName());
        }
    }
}
"""


@pytest.mark.java
def test_it_is_what_java_writes(authority: Authority, tmp_path: pathlib.Path) -> None:
    """For each of these subjects: what was given to a principal on Kafka is given to the same one here."""
    source = tmp_path / "Subject.java"
    source.write_text(JAVA)
    paths = [str(authority.issue(f"java-{number}", subject).chain) for number, subject in enumerate(SUBJECTS)]
    ended = subprocess.run(["java", str(source), *paths], capture_output=True, timeout=100, check=False)
    assert ended.stdout.decode().splitlines() == list(SUBJECTS.values()), ended.stderr


@given(noise=st.binary(max_size=300), place=st.integers(0, 500), byte=st.integers(0, 255))
def test_bytes_that_are_no_certificate_are_malformed(authority: Authority, noise: bytes, place: int, byte: int) -> None:
    """Nothing else is ever raised, for noise and for a certificate with a wrong byte."""
    good = der(authority.certificate)
    for data in (noise, good[:place] + bytes([byte]) + good[place + 1 :], good[:place] + noise):
        try:
            assert isinstance(subject_of(data), str)
        except MalformedError:
            continue


@pytest.mark.parametrize(
    ("rules", "name", "user"),
    [
        ("DEFAULT", NAME, NAME),
        ("", NAME, None),
        ("RULE:^CN=(.*?),.*$/$1/", NAME, "alice"),
        ("RULE:^CN=(.*?),OU=(.*?),.*$/$1@$2/U", NAME, "ALICE@EVENTS"),
        ("RULE:^CN=(.*?),.*$/$1@Home/L, DEFAULT", NAME, "alice@home"),
        ("RULE:^UID=(.*?),.*$/$1/,RULE:^CN=(\\w*).*$/$1/", NAME, "alice"),
        ("RULE:^UID=(.*?),.*$/$1/", NAME, None),
        ("RULE:^UID=(.*?),.*$/$1/,DEFAULT", NAME, NAME),
        ("RULE:CN=alice/no/", NAME, None),
        ("RULE:^CN=(.*?),.*$/$12\\/$7\\$1/", NAME, "alice2/$7$1"),
        ("RULE:^CN=([^,]*)(x)?,.*$/[$1$2]/", NAME, "[alice]"),
        ("RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L", NAME, "alice"),
    ],
)
def test_rules_make_the_name_of_a_user(rules: str, name: str, user: str | None) -> None:
    """The first whose pattern is the whole name; without one there is no user."""
    made = PrincipalRules(rules)
    if user is None:
        with pytest.raises(MalformedError, match="no rule"):
            made.name_of(name)
    else:
        assert made.name_of(name) == user


@pytest.mark.parametrize("rules", ["default", "RULE:^CN=(.*?),.*$/$1/X", "RULE:a/b", "RULE:(/x/", "DEFAULT RULE:a/b/", "DEFAULT,,x"])
def test_rules_that_do_not_parse_are_refused(rules: str) -> None:
    """With what was expected, or what is wrong with the pattern."""
    with pytest.raises(SettingError, match=r"ssl\.principal\.mapping\.rules"):
        PrincipalRules(rules)
