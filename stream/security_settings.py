"""Settings of how brokers are reached: encrypted, as whom, and how records are packed on the way."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, SecretStr

from stream.environment import env_name
from stream.setting_types import setting

PROTOCOL: Final = "kafka_security_protocol"
TLS: Final = frozenset({"SSL", "SASL_SSL"})
SASL: Final = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})
OAUTH: Final = "OAUTHBEARER"


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class SecuritySettings(BaseModel):
    """Settings of every Kafka client; `stream/connection.py` makes a connection of them."""

    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)
    ] = setting("PLAINTEXT", "", "How brokers are reached (docs/security.md).")
    kafka_ca_file: Path | None = setting(
        None,
        "path",
        "PEM file of the certificate authorities that brokers' certificates come from; unset: those that the "
        "system trusts.",
    )
    kafka_cert_file: Path | None = setting(
        None, "path", "PEM file of our own certificate, with its chain, where brokers ask for one."
    )
    kafka_key_file: Path | None = setting(
        None, "path", "PEM file of the certificate's private key; unset: it is in kafka_cert_file."
    )
    kafka_key_password: SecretStr | None = setting(None, "secret", "Of an encrypted private key.")
    kafka_key_password_file: Path | None = setting(None, "path", "File that holds kafka_key_password.")
    kafka_check_hostname: bool = setting(
        True, "", "Whether a broker's certificate must name the host that was connected to."
    )
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None, BeforeValidator(_upper)
    ] = setting(None, "", "How we say who we are; needed with SASL_SSL and SASL_PLAINTEXT.")
    kafka_sasl_username: str | None = setting(None, "name", "User of PLAIN and SCRAM.")
    kafka_sasl_password: SecretStr | None = setting(None, "secret", "Password of that user.")
    kafka_sasl_password_file: Path | None = setting(
        None, "path", "File that holds kafka_sasl_password, such as a mounted Kubernetes secret."
    )
    kafka_oauth_provider: str | None = setting(
        None,
        "package.module:callable",
        "OAUTHBEARER: what returns a token, called for each connection; it may be async.",
    )
    kafka_compression: Literal["none", "gzip", "lz4", "zstd"] = setting(
        "none", "", "How records that are written are packed; what is read may be packed in any way."
    )


OWN_BROKER: Final = {
    name: field.default
    for name, field in SecuritySettings.model_fields.items()
    if name != "kafka_compression"
}
"""Settings for a broker that was started here, whatever the environment says of another one."""


def insecure(settings: Any) -> Iterable[str]:
    """What does not fit between settings of security that are each right, one line a problem.

    Args:
        settings: A `SecuritySettings`.
    """
    yield from _of_tls(settings)
    yield from _of_sasl(settings)
    for secret in ("kafka_key_password", "kafka_sasl_password"):
        if getattr(settings, secret) is not None and getattr(settings, secret + "_file") is not None:
            yield f"{env_name(secret)}: is given, and {env_name(secret + '_file')} too; unset one of them"


def _of_tls(settings: SecuritySettings) -> Iterable[str]:
    given = [
        name
        for name in ("ca_file", "cert_file", "key_file", "key_password", "key_password_file")
        if getattr(settings, f"kafka_{name}") is not None
    ]
    if given and settings.kafka_security_protocol not in TLS:
        yield (
            f"{env_name('kafka_' + given[0])}: is not looked at with {env_name(PROTOCOL)}="
            f"{settings.kafka_security_protocol}; set that to SSL or SASL_SSL, or unset this"
        )
    elif settings.kafka_cert_file is None:
        for name in given:
            if name != "ca_file":
                yield f"{env_name('kafka_' + name)}: needs {env_name('kafka_cert_file')} as well"
                return


def _of_sasl(settings: SecuritySettings) -> Iterable[str]:
    mechanism = settings.kafka_sasl_mechanism
    who = {
        name: getattr(settings, f"kafka_{name}") is not None
        for name in ("sasl_username", "sasl_password", "sasl_password_file", "oauth_provider")
    }
    if settings.kafka_security_protocol not in SASL:
        for name in ("sasl_mechanism", *who):
            if getattr(settings, f"kafka_{name}") is not None:
                yield (
                    f"{env_name('kafka_' + name)}: is not looked at with {env_name(PROTOCOL)}="
                    f"{settings.kafka_security_protocol}; set that to SASL_SSL, or unset this"
                )
                return
    elif mechanism is None:
        yield (
            f"{env_name('kafka_sasl_mechanism')}: is needed with {env_name(PROTOCOL)}="
            f"{settings.kafka_security_protocol}; ask whoever runs Kafka, often it is SCRAM-SHA-512"
        )
    elif mechanism == OAUTH:
        if not who["oauth_provider"]:
            yield f"{env_name('kafka_oauth_provider')}: is needed with OAUTHBEARER (docs/security.md)"
    else:
        if not who["sasl_username"]:
            yield f"{env_name('kafka_sasl_username')}: is needed with {mechanism}"
        if not (who["sasl_password"] or who["sasl_password_file"]):
            yield (
                f"{env_name('kafka_sasl_password')} or {env_name('kafka_sasl_password_file')}: is needed "
                f"with {mechanism}"
            )


def unwise(settings: SecuritySettings) -> Iterable[str]:
    """What works and is not safe, one line each."""
    if settings.kafka_security_protocol == "SASL_PLAINTEXT":
        yield (
            f"{env_name(PROTOCOL)} is SASL_PLAINTEXT: everybody on the network can read what is sent, with "
            "PLAIN the password too; use SASL_SSL"
        )
    if settings.kafka_security_protocol in TLS and not settings.kafka_check_hostname:
        yield (
            f"{env_name('kafka_check_hostname')} is off: whoever holds any certificate of the same authority "
            "can pose as a broker"
        )
