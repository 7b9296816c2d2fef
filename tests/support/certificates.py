"""Certificates for one test run, made with the openssl program: an authority, a server's and clients'.

authority = Authority(tmp_path)
server = authority.issue("server", "/CN=localhost")      a Certificate: .chain, .key, and .keystore with both
client = authority.issue("alice", "/O=Example/CN=alice")
authority.certificate                                     the file that the others are checked with
"""

from __future__ import annotations

import pathlib
import subprocess
from dataclasses import dataclass

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
ADDRESSES = "IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True)
class Certificate:
    """The files of one."""

    chain: pathlib.Path
    key: pathlib.Path
    keystore: pathlib.Path


class Authority:
    """Signs certificates that are valid for a day."""

    def __init__(self, directory: pathlib.Path, name: str = "authority") -> None:
        self.directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        place = ("-keyout", str(self._key), "-out", str(self.certificate), "-days", "1", "-subj", f"/CN={name}")
        openssl("req", "-x509", *KEY, *place, "-addext", "basicConstraints=critical,CA:true")

    def issue(self, name: str, subject: str, *, key: tuple[str, ...] = KEY, addresses: str = ADDRESSES, days: int = 1) -> Certificate:
        """A certificate for this subject, with 127.0.0.1 and localhost as its addresses. With -1 days it ended yesterday."""
        made = Certificate(*(self.directory / f"{name}.{ending}" for ending in ("crt", "key", "pem")))
        request = self.directory / f"{name}.csr"
        subject_of = ("-utf8", "-multivalue-rdn", "-subj", subject)
        openssl("req", "-new", *key, "-keyout", str(made.key), "-out", str(request), *subject_of)
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={addresses}\nextendedKeyUsage=serverAuth,clientAuth\n")
        signed = (
            "-CA",
            str(self.certificate),
            "-CAkey",
            str(self._key),
            "-CAcreateserial",
            "-days",
            str(days),
            "-extfile",
            str(extensions),
        )
        openssl("x509", "-req", "-in", str(request), "-out", str(made.chain), *signed)
        made.keystore.write_text(made.key.read_text() + made.chain.read_text())
        for path in (made.key, made.keystore):
            path.chmod(0o600)
        return made


def openssl(*arguments: str) -> str:
    ended = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
