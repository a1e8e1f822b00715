"""A broker that asks who one is: certificates, listeners, users and what they may do."""

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives import serialization

from stream.broker import Broker, Listener, Secured, free_ports
from stream.config import Settings

PASSWORD = "correct-horse-battery"
"""Of every user; nothing may ever print it."""
TOKEN_SECONDS = 5.0
"""How long a token lasts where its end ends the connection too."""
NAMES: dict[str, Any] = {
    "common_name": "freshslate",
    "organization_unit_name": "shop",
    "organization_name": "example",
}
"""Of the client's certificate."""
CERTIFIED = "User:CN=freshslate,OU=shop,O=example"
"""What ACLs call who comes with it."""
TOKENS_FILE = "TESTED_TOKENS_FILE"
"""Variable that names the file where `short_token` notes each call."""
TOKENS_USER = "TESTED_TOKENS_USER"
"""Variable that says for whom `short_token` is."""


class Certificates:
    """Of an authority, its servers and its clients; and of another authority."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._ours, strange = trustme.CA(), trustme.CA()
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self.authority = folder / "ca.pem"
        self._ours.cert_pem.write_to_path(self.authority)
        self.other_authority = folder / "other-ca.pem"
        strange.cert_pem.write_to_path(self.other_authority)
        # For the address alone, so that `localhost` is a wrong name for it.
        self.server = self._written("server", self._ours.issue_cert("127.0.0.1"))
        self.old_server = self._written("old-server", self._ours.issue_cert("127.0.0.1", not_after=yesterday))
        self.client = self._written("client", self._ours.issue_cert("worker@shop.example", **NAMES))
        self.old_client = self._written(
            "old-client", self._ours.issue_cert("worker@shop.example", not_after=yesterday)
        )
        self.strange_client = self._written("strange-client", strange.issue_cert("worker@shop.example"))

    def _written(self, name: str, made: Any, password: bytes | None = None) -> Path:
        """A file with the key, in the form that Java reads, and the chain."""
        key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
        kind = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password)
        )
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kind)
        path = self._folder / f"{name}.pem"
        path.write_bytes(text + b"".join(each.bytes() for each in made.cert_chain_pems))
        return path

    def encrypted(self, password: str) -> Path:
        """A client's certificate whose key has a password."""
        made = self._ours.issue_cert("worker@shop.example")
        return self._written("encrypted", made, password.encode())


class SecuredBroker:
    """The broker, and settings that get in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = Certificates(folder / "certificates")
        self.ports = dict(
            zip(
                ("OPEN", "SECURED", "PROXY", "MUTUAL", "EXPIRED", "TOKENS", "OAUTH"),
                free_ports(7),
                strict=True,
            )
        )
        self.broker = self._started(PASSWORD)

    def _started(self, password: str) -> Broker:
        keys, ports = self.certificates, self.ports
        listeners = [
            Listener(
                "SECURED",
                "SASL_SSL",
                ports["SECURED"],
                ("SCRAM-SHA-512", "PLAIN"),
                keys.server,
                advertised=ports["PROXY"],
            ),
            Listener("MUTUAL", "SSL", ports["MUTUAL"], (), keys.server, keys.authority),
            Listener("EXPIRED", "SSL", ports["EXPIRED"], (), keys.old_server),
            Listener("TOKENS", "SASL_PLAINTEXT", ports["TOKENS"], ("OAUTHBEARER",)),
            # So that a connection ends with its token.
            Listener("OAUTH", "SASL_SSL", ports["OAUTH"], ("OAUTHBEARER",), keys.server, reauth_ms=3_600_000),
        ]
        passwords = dict.fromkeys(("worker", "lacking", "owner"), password)
        secured = Secured(listeners, passwords, is_authorizing=True)
        return Broker.start(self.folder / "kafka", ports["OPEN"], secured=secured)

    def change_password(self, password: str) -> None:
        """Stop, and start again with another password for PLAIN."""
        self.broker.stop()
        self.broker = self._started(password)

    def at(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def settings(self, user: str = "worker", **changes: Any) -> Settings:
        """Of a user over SASL_SSL, who comes through the proxy."""
        given: dict[str, Any] = {
            "broker": self.at("PROXY"),
            "kafka_security_protocol": "SASL_SSL",
            "kafka_ca_file": self.certificates.authority,
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_sasl_username": user,
            "kafka_sasl_password": PASSWORD,
            **changes,
        }
        return Settings(**{name: value for name, value in given.items() if value is not None})

    def by_token(self) -> dict[str, Any]:
        """What of `settings` is otherwise for those who come with a token."""
        return NO_PASSWORD | {
            "broker": self.at("OAUTH"),
            "kafka_sasl_mechanism": "OAUTHBEARER",
            "kafka_oauth_provider": "tests.kafka.secured:short_token",
        }

    def by_certificate(self) -> dict[str, Any]:
        """What of `settings` is otherwise for those who come with a certificate."""
        return NO_PASSWORD | {
            "broker": self.at("MUTUAL"),
            "kafka_security_protocol": "SSL",
            "kafka_sasl_mechanism": None,
            "kafka_cert_file": self.certificates.client,
        }


NO_PASSWORD: dict[str, Any] = {"kafka_sasl_username": None, "kafka_sasl_password": None}


@contextmanager
def secured_broker(folder: Path) -> Iterator[SecuredBroker]:
    it = SecuredBroker(folder)
    try:
        yield it
    finally:
        it.broker.stop()


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _token(expires: float, user: str = "worker") -> str:
    """Unsigned, as Kafka takes it where it is told to (RFC 7515, appendix A.5)."""
    claims = {"sub": user, "iat": expires - 3600, "exp": expires}
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def token() -> str:
    """A hook as FRESHSLATE_KAFKA_OAUTH_PROVIDER names it."""
    return _token(time.time() + 600)


def short_token() -> str:
    """One that has to be renewed soon; each call is noted."""
    user, now = os.environ.get(TOKENS_USER, "worker"), time.time()
    with Path(os.environ[TOKENS_FILE]).open("a") as file:
        file.write(f"{user} {now}\n")
    is_refused = _refused(Path(os.environ[TOKENS_FILE]), user).exists()
    return _token(now - 600 if is_refused else now + TOKEN_SECONDS, user)


def refuse_tokens(file: Path, user: str) -> None:
    """From now on the tokens of `short_token` for this user have expired."""
    _refused(file, user).touch()


def _refused(file: Path, user: str) -> Path:
    return file.with_name(f"{file.name}-refused-{user}")


def token_times(file: Path) -> dict[str, list[float]]:
    """When `short_token` was called, by user, epoch seconds."""
    found: dict[str, list[float]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        user, at = line.split()
        found.setdefault(user, []).append(float(at))
    return found


async def expired_token() -> str:
    """Another one, to wait for."""
    return _token(time.time() - 600)


def no_token() -> str:
    message = f"the issuer was sent {PASSWORD}"
    raise RuntimeError(message)
