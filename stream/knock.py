"""One connection to a broker before anything else, to say plainly why none can be had.

The clients try again without end and tell each failure in their own words, or not at all: a refused password
is "Unable to bootstrap" to them. Here each server is asked once, and whoever is refused is not tried again.
"""

import asyncio
import os
import ssl
from collections.abc import Set
from typing import Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from state.errors import SetupError
from stream.connection import Connection, Where, as_connection
from stream.environment import env_name
from stream.security_settings import OAUTH, PROTOCOL, SASL, TLS

ANSWER_SECONDS: Final = 5.0
"""How long a broker may take for each answer."""
CLOSE_SECONDS: Final = 1.0
"""How long to wait until a connection is closed."""
MOST_BROKERS: Final = 3
"""Of a cluster, that are visited before a process starts."""
ADVERTISED: Final = (
    "answers, but no broker can be reached: {told}. Its advertised.listeners must name what this machine can "
    "reach"
)
EXPIRED: Final = 10
"""OpenSSL's number of a certificate that has expired (X509_V_ERR_CERT_HAS_EXPIRED); 9: not valid yet."""
NOT_YET: Final = 9
OTHER_HOST: Final = frozenset({62, 64})
"""Of one for another host name, or another address."""


class BrokerUnreachableError(SetupError):
    """No broker answers.

    Args:
        address: The bootstrap servers that were tried.
        detail: What the client said.
    """

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.address = address
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"no Kafka broker answers at {self.address}: {self.detail}. Start one with `freshslate kafka`, "
            "or set FRESHSLATE_BROKER to the address of yours."
        )


class BrokerRefusesError(SetupError):
    """A broker is there, and does not let us in, or is not one that we may trust; asking again will not help.

    Args:
        address: The server that was asked.
        detail: What is wrong, and what to do.
    """

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.address = address
        self.detail = detail

    def __str__(self) -> str:
        return f"the Kafka broker at {self.address}: {self.detail} (docs/security.md)"


async def knock(where: Where) -> None:
    """Connect to the first server that answers, say who we are, ask for its brokers, and visit these too.

    Clients use servers only to learn of brokers, under the names that those give themselves
    (`advertised.listeners`), which may be others, not to be reached from here.

    Raises:
        BrokerUnreachableError: no broker answers.
        BrokerRefusesError: one does, and there is no way in with this connection.
    """
    there = as_connection(where)
    detail = "no server is named"
    for server in there.servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not port.isdecimal():
            detail = f"{server!r} is not host:port"
            continue
        place = (host.strip("[]"), int(port))
        brokers, detail = await _tried(there, *place)
        if not detail:
            await _visit_brokers(there, server.strip(), brokers - {place})
            return
    raise BrokerUnreachableError(there.servers, detail)


async def _visit_brokers(there: Connection, server: str, brokers: Set[tuple[str, int]]) -> None:
    """Try some of the brokers that a server tells of; one that answers is enough: others may be ending."""
    told = ""
    for host, port in sorted(brokers)[:MOST_BROKERS]:
        _, detail = await _tried(there, host, port)
        if not detail:
            return
        told = f"{server} says that clients are to connect to {host}:{port}, and there: {detail}"
    if told:
        raise BrokerRefusesError(server, ADVERTISED.format(told=told))


async def _tried(there: Connection, host: str, port: int) -> tuple[Set[tuple[str, int]], str]:
    """The brokers that a server tells of, and why it cannot be had.

    Raises:
        BrokerRefusesError: it does not let us in.
    """
    try:
        return await _visit(there, host, port), ""
    except TimeoutError:
        return frozenset(), f"no answer within {ANSWER_SECONDS:g} s"
    except (OSError, KafkaError, ValueError) as error:
        if (refusal := await _refusal(error, there, host, port)) is not None:
            address = f"{host}:{port}"
            raise BrokerRefusesError(address, refusal) from None
        return frozenset(), _plain(error)


async def why_not(where: Where) -> str | None:
    """Why a broker refuses us; None if it does not, or none answers."""
    try:
        await knock(where)
    except BrokerRefusesError as error:
        return str(error)
    except SetupError:
        pass
    return None


async def _visit(there: Connection, host: str, port: int) -> Set[tuple[str, int]]:
    """Host and port of every broker, as the one asked knows them."""
    connection = await create_conn(
        host,
        port,
        client_id="freshslate-knock",
        request_timeout_ms=int(ANSWER_SECONDS * 1000),
        **there.security,
    )
    try:
        # A listener that wants a certificate or a password says so at the first real question.
        answer = await connection.send(MetadataRequest([]))
        return {(each[1], each[2]) for each in answer.brokers}
    finally:
        # Over TLS both sides say farewell; who ends before that leaves an open socket behind.
        await asyncio.wait([connection.close()], timeout=CLOSE_SECONDS)


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(getattr(error, "strerror", None) or error).lower() or type(error).__name__


async def _refusal(error: BaseException, there: Connection, host: str, port: int) -> str | None:
    """What to do about it, where a broker is there; None where none is."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | ConnectionResetError):
        return None
    tls = _tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _certificate(tls, host)
    if isinstance(error, SaslAuthenticationFailed | UnsupportedSaslMechanismError | IllegalSaslStateError):
        return _sasl(error, there)
    if isinstance(error, ValueError):
        return f"answers {there.who or 'us'} in a way that it should not: {error}"
    if (wrong := await _wrong_protocol(there, host, port)) is not None:
        return wrong
    return _alert(tls, there) if tls is not None and "ALERT" in (tls.reason or "") else None


async def _wrong_protocol(there: Connection, host: str, port: int) -> str | None:
    """Ask once more in other ways, to know which protocol is spoken here."""
    is_tls, is_sasl = there.protocol in TLS, there.protocol in SASL
    if is_tls and await _speaks_plainly(host, port):
        other = "SASL_PLAINTEXT" if is_sasl else "PLAINTEXT"
        return (
            "does not speak TLS on this port: set FRESHSLATE_BROKER to its TLS listener, or "
            f"{env_name(PROTOCOL)}={other}"
        )
    if not is_tls and await _speaks_tls(host, port):
        other = "SASL_SSL" if is_sasl else "SSL or SASL_SSL"
        return f"speaks TLS on this port: set {env_name(PROTOCOL)}={other}, not {there.protocol}"
    if not is_sasl and await _asks_later(there, host, port):
        other = "SASL_SSL" if is_tls else "SASL_PLAINTEXT"
        return (
            f"wants to know who we are: set {env_name(PROTOCOL)}={other} and what belongs "
            f"to it, beginning with {env_name('kafka_sasl_mechanism')}"
        )
    return None


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that this is, or that it comes from."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__
    return error


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    code = error.verify_code
    if code == EXPIRED:
        return (
            "its certificate has expired: whoever runs it has to renew it (or this machine's clock is wrong)"
        )
    if code == NOT_YET:
        return "its certificate is not valid yet: look at this machine's clock, and at the broker's"
    if code in OTHER_HOST:
        return (
            f"its certificate is not for {host!r}: set FRESHSLATE_BROKER to a name that is in it; "
            f"{env_name('kafka_check_hostname')}=false lets any certificate of the same authority pass"
        )
    return (
        f"its certificate is from nobody we know ({error.verify_message}): set "
        f"{env_name('kafka_ca_file')} to the PEM file of the authority that signed it"
    )


def _alert(error: ssl.SSLError, there: Connection) -> str:
    said = (error.reason or "").lower().replace("_", " ")
    if there.who and "certificate" in there.who:
        return (
            f"does not take {there.who} ({said}): it must not have expired, and an authority that the broker "
            "trusts must have signed it"
        )
    return (
        f"ends the TLS handshake ({said}): it may want a certificate of ours; set "
        f"{env_name('kafka_cert_file')} and {env_name('kafka_key_file')}"
    )


def _sasl(error: KafkaError, there: Connection) -> str:
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"has no such {env_name('kafka_sasl_mechanism')}: ask which one it has"
    if isinstance(error, IllegalSaslStateError):
        other = "SSL" if there.protocol in TLS else "PLAINTEXT"
        return f"asks nobody who they are on this port: set {env_name(PROTOCOL)}={other}, or use another port"
    told = str(error).rpartition("SaslAuthenticationFailed: ")[2]
    if OAUTH in there.who:
        return f"does not let in {there.who}: {told}. Check what {env_name('kafka_oauth_provider')} returns."
    return (
        f"does not let in {there.who}: {told}. Check {env_name('kafka_sasl_username')}, "
        f"{env_name('kafka_sasl_password')} (or its _FILE) and {env_name('kafka_sasl_mechanism')}."
    )


async def _speaks_plainly(host: str, port: int) -> bool:
    """Whether a Kafka broker answers here without TLS."""
    try:
        connection = await create_conn(host, port, request_timeout_ms=int(ANSWER_SECONDS * 1000))
    except (OSError, KafkaError, TimeoutError):
        return False
    connection.close()
    return True


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether anybody speaks TLS here; nothing is sent that would need trust."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _asks_later(there: Connection, host: str, port: int) -> bool:
    """Whether a broker answers here as long as it is not asked for anything."""
    try:
        connection = await create_conn(
            host, port, request_timeout_ms=int(ANSWER_SECONDS * 1000), **there.security
        )
    except (OSError, KafkaConnectionError, KafkaError, TimeoutError):
        return False
    connection.close()
    return True
