"""How every Kafka client of Freshslate gets to the brokers: where they are, encrypted how, and as whom.

The only place that reads secrets. What comes out of it goes into clients and nowhere else: a `Connection`
shows neither passwords nor keys.
"""

import asyncio
import importlib
import inspect
import logging
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import SaslAuthenticationFailed
from pydantic import SecretStr

from stream.environment import ConfigError, env_name
from stream.gate import guard
from stream.security_settings import OAUTH, SASL, TLS, SecuritySettings

CA_FILE: Final = "kafka_ca_file"
CERT_FILE: Final = "kafka_cert_file"
KEY_FILE: Final = "kafka_key_file"
KEY_PASSWORD: Final = "kafka_key_password"
SASL_PASSWORD: Final = "kafka_sasl_password"
PROVIDER: Final = "kafka_oauth_provider"
TOKEN_SECONDS: Final = 30.0
"""How long a token may take to get."""
COMPRESSIONS: Final[Mapping[str, int]] = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}
"""Kafka's number of a compression, by its name."""


class Connection:
    """Where brokers are, and what a client must say to be let in.

    Args:
        servers: bootstrap servers, comma separated.
        security: arguments of aiokafka's clients; PLAINTEXT without.
        who: as whom, for people; empty for nobody.
    """

    def __init__(self, servers: str, security: Mapping[str, Any] | None = None, who: str = "") -> None:
        self.servers = servers
        self.who = who
        self._security = dict(security or {})

    @property
    def protocol(self) -> str:
        """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
        return str(self._security.get("security_protocol", "PLAINTEXT"))

    @property
    def security(self) -> dict[str, Any]:
        """What a client is given beside the servers; holds secrets."""
        return dict(self._security)

    def __str__(self) -> str:
        return self.servers

    def __repr__(self) -> str:
        return f"Connection({self.servers!r}, {self.protocol})"


Where: TypeAlias = str | Connection
"""Of brokers; a text is the servers of a cluster that asks for nothing."""


def arguments(where: Where) -> dict[str, Any]:
    """Arguments of any of aiokafka's clients to get there; they hold secrets."""
    there = as_connection(where)
    return {"bootstrap_servers": there.servers, **there.security}


def as_connection(where: Where) -> Connection:
    """The same place as a connection."""
    return Connection(where) if isinstance(where, str) else where


def connection(settings: Any) -> Connection:
    """The connection that settings ask for; files and the token provider are read now.

    Args:
        settings: `stream.config.Settings`.

    Raises:
        ConfigError: a file is missing or not what it should be, or there is no such provider.
    """
    protocol = settings.kafka_security_protocol
    security: dict[str, Any] = {}
    who = ""
    if protocol != "PLAINTEXT":
        security["security_protocol"] = protocol
        guard()
    if protocol in TLS:
        security["ssl_context"] = tls_context(settings)
        if settings.kafka_cert_file is not None:
            who = f"the certificate {settings.kafka_cert_file}"
    if protocol in SASL:
        hide_secrets_from_log()
        security["sasl_mechanism"] = settings.kafka_sasl_mechanism
        if settings.kafka_sasl_mechanism == OAUTH:
            security["sasl_oauth_token_provider"] = Tokens(settings.kafka_oauth_provider)
            who = f"the token of {settings.kafka_oauth_provider} ({OAUTH})"
        else:
            security["sasl_plain_username"] = settings.kafka_sasl_username
            security["sasl_plain_password"] = _secret(settings, SASL_PASSWORD)
            who = f"user {settings.kafka_sasl_username} ({settings.kafka_sasl_mechanism})"
    return Connection(settings.broker, security, who)


def compression(settings: SecuritySettings) -> dict[str, Any]:
    """The argument of a producer that says how it packs."""
    return {"compression_type": None if settings.kafka_compression == "none" else settings.kafka_compression}


def faust_credentials(where: Connection) -> Any:
    """The same for faust; None where nothing is asked for."""
    # faust takes half a second to import, and only workers need it.
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials  # noqa: PLC0415

    security = where.security
    context = security.get("ssl_context")
    if (provider := security.get("sasl_oauth_token_provider")) is not None:
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if (mechanism := security.get("sasl_mechanism")) is not None:
        return SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            ssl_context=context,
            mechanism=mechanism,
        )
    return None if context is None else SSLCredentials(context)


def tls_context(settings: SecuritySettings) -> ssl.SSLContext:
    """What brokers' certificates are checked with, and our own one.

    Raises:
        ConfigError: a file is missing or not what it should be.
    """
    authorities = settings.kafka_ca_file
    if authorities is not None:
        _read(authorities, CA_FILE)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (ssl.SSLError, OSError, ValueError):
        raise _wrong(CA_FILE, f"{authorities} holds no certificate in PEM form") from None
    context.check_hostname = settings.kafka_check_hostname
    if settings.kafka_cert_file is not None:
        _load_own(context, settings)
    return context


def _load_own(context: ssl.SSLContext, settings: SecuritySettings) -> None:
    certificate = settings.kafka_cert_file
    assert certificate is not None
    key = settings.kafka_key_file
    _read(certificate, CERT_FILE)
    if key is not None:
        _read(key, KEY_FILE)
    password = _secret(settings, KEY_PASSWORD)
    asked = False

    def tell() -> str:
        # Without this function OpenSSL would ask on the terminal.
        nonlocal asked
        asked = True
        return password or ""

    place, name = (key, KEY_FILE) if key is not None else (certificate, CERT_FILE)
    try:
        context.load_cert_chain(certificate, key, tell)
    except (ssl.SSLError, OSError, ValueError) as error:
        if asked and not password:
            raise _wrong(
                name,
                f"the key in {place} is encrypted: give its password by {env_name(KEY_PASSWORD)} or "
                f"{env_name(KEY_PASSWORD + '_file')}",
            ) from None
        if asked:
            raise _wrong(KEY_PASSWORD, f"does not open the key in {place}") from None
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong(name, f"the key in {place} is not that of the certificate {certificate}") from None
        raise _wrong(
            CERT_FILE,
            f"{certificate} and {place} hold no certificate with its private key in PEM form",
        ) from None


def _secret(settings: SecuritySettings, name: str) -> str | None:
    """A secret setting, or what its file holds, without the line break at the end."""
    given: SecretStr | None = getattr(settings, name)
    if given is not None:
        return given.get_secret_value()
    path: Path | None = getattr(settings, f"{name}_file")
    if path is None:
        return None
    secret = _read(path, f"{name}_file").rstrip("\r\n")
    if not secret:
        setting = f"{name}_file"
        raise _wrong(setting, f"{path} is empty")
    return secret


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _wrong(name, f"{path} cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise _wrong(name, f"{path} is no text file") from None


def _wrong(name: str, problem: str) -> ConfigError:
    return ConfigError([f"{env_name(name)}: {problem}"])


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # untyped base
    """Asks the hook of FRESHSLATE_KAFKA_OAUTH_PROVIDER for a token, whenever a connection is made.

    Args:
        name: `package.module:callable`; called without arguments, it returns a token or something to await.

    Raises:
        ConfigError: there is no such callable.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._provide = _provider(name)

    async def token(self) -> str:
        """The token.

        Raises:
            SaslAuthenticationFailed: the hook failed, or returned none.
        """
        try:
            async with asyncio.timeout(TOKEN_SECONDS):
                if inspect.iscoroutinefunction(self._provide):
                    given = await self._provide()
                else:
                    given = await asyncio.to_thread(self._provide)
                    given = await given if inspect.isawaitable(given) else given
        except Exception as error:  # whatever the hook does, the client must take it for a refusal
            # Of the error only its kind: its text may hold what was sent to the token's issuer.
            message = f"{self.name} gave no token: {type(error).__name__}"
            raise SaslAuthenticationFailed(message) from None
        if not isinstance(given, str) or not given:
            message = f"{self.name} gave {type(given).__name__}, not a token as text"
            raise SaslAuthenticationFailed(message)
        return given


def _provider(name: str) -> Callable[[], Any]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        problem = f"{name!r} cannot be had: {error}; it must be package.module:callable, installed here"
        raise _wrong(PROVIDER, problem) from None
    if not callable(found):
        raise _wrong(PROVIDER, f"{name!r} cannot be called")
    provide: Callable[[], Any] = found
    return provide


class _NoSecrets(logging.Filter):
    """Leaves out what the client logs of requests that carry passwords and tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args if isinstance(record.args, tuple) else ()
        return not any(type(each).__name__.startswith("Sasl") for each in arguments)


_NO_SECRETS: Final = _NoSecrets()


def hide_secrets_from_log() -> None:
    """Keep aiokafka's debug log from writing down what it authenticates with."""
    logging.getLogger("aiokafka.conn").addFilter(_NO_SECRETS)
