"""What the embedded broker is told: listeners, sizes, timeouts, and who may do what."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

LARGEST_RECORD_BYTES: Final = 8 * 1024 * 1024
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_TOKENS: Final = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"


class Proxied(NamedTuple):
    """A further listener of a broker, for clients that come through a proxy."""

    port: int
    """What the broker listens on, and the proxy passes on to."""
    advertised: int
    """The proxy's port, which these clients are told to connect to."""


class Listener(NamedTuple):
    """A further listener of a broker, for clients that say who they are."""

    name: str
    """In capitals."""
    protocol: str
    """SSL, SASL_PLAINTEXT or SASL_SSL."""
    port: int
    mechanisms: Sequence[str] = ()
    """Of SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER (unsecured tokens, for tests)."""
    key_file: Path | None = None
    """PEM file of the private key (PKCS 8) and the certificate chain; of TLS."""
    client_ca_file: Path | None = None
    """PEM file of the authority of clients' certificates, which are then asked for."""
    advertised: int | None = None
    """Port that clients are told to connect to, where a proxy is before it."""
    reauth_ms: int | None = None
    """How long a connection may live, or the rest of its token's life if that is shorter; of SASL.

    Without it, connections outlive the tokens that they were made with.
    """


class Secured(NamedTuple):
    """Listeners beside the open one, whose users are anonymous and may do everything."""

    listeners: Sequence[Listener]
    passwords: Mapping[str, str]
    """By user, for SCRAM (when the data folder is made) and PLAIN (at each start)."""
    is_authorizing: bool = False
    """Whether everybody else may do only what ACLs say."""

    def storage_arguments(self) -> list[str]:
        """What `StorageTool format` is told of users."""
        mechanisms = {each for listener in self.listeners for each in listener.mechanisms}
        return [
            text
            for mechanism in sorted(mechanisms)
            if mechanism.startswith("SCRAM")
            for user, password in self.passwords.items()
            for text in ("--add-scram", f"{mechanism}=[name={user},password={password}]")
        ]

    def properties(self) -> dict[str, object]:
        """Lines of Kafka's configuration."""
        found: dict[str, object] = {}
        for listener in self.listeners:
            found |= self._of(listener)
        if self.is_authorizing:
            found["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            found["super.users"] = "User:ANONYMOUS"
        return found

    def _of(self, listener: Listener) -> dict[str, object]:
        prefix = f"listener.name.{listener.name.lower()}."
        found: dict[str, object] = {}
        if listener.key_file is not None:
            found[prefix + "ssl.keystore.type"] = "PEM"
            found[prefix + "ssl.keystore.location"] = listener.key_file
        if listener.client_ca_file is not None:
            found[prefix + "ssl.client.auth"] = "required"
            found[prefix + "ssl.truststore.type"] = "PEM"
            found[prefix + "ssl.truststore.location"] = listener.client_ca_file
        if listener.mechanisms:
            found[prefix + "sasl.enabled.mechanisms"] = ",".join(listener.mechanisms)
        for mechanism in listener.mechanisms:
            found[f"{prefix}{mechanism.lower()}.sasl.jaas.config"] = self._login(mechanism)
            if listener.reauth_ms is not None:
                found[f"{prefix}{mechanism.lower()}.connections.max.reauth.ms"] = listener.reauth_ms
        return found

    def _login(self, mechanism: str) -> str:
        if mechanism.startswith("SCRAM"):
            return _SCRAM
        if mechanism == "PLAIN":
            return _PLAIN + "".join(f' user_{user}="{word}"' for user, word in self.passwords.items()) + ";"
        return _TOKENS + ' unsecuredLoginStringClaim_sub="broker";'


def server_properties(
    data: Path,
    port: int,
    controller_port: int,
    *,
    proxied: Proxied | None = None,
    secured: Secured | None = None,
) -> str:
    """Kafka's configuration: one node, broker and controller, small, quick to start and to time out."""
    behind, told = (f",PROXIED://127.0.0.1:{each}" if proxied else "" for each in proxied or ("", ""))
    listeners = secured.listeners if secured else ()
    more = "".join(f",{each.name}://127.0.0.1:{each.port}" for each in listeners)
    seen = "".join(f",{each.name}://127.0.0.1:{each.advertised or each.port}" for each in listeners)
    protocols = "".join(f",{each.name}:{each.protocol}" for each in listeners)
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{behind}{more}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}{told}{seen}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT"
        + protocols,
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "num.partitions": 1,
        "auto.create.topics.enable": "false",
        "message.max.bytes": LARGEST_RECORD_BYTES,
        "replica.fetch.max.bytes": LARGEST_RECORD_BYTES,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        # A frozen worker's transaction ends close to its transaction.timeout.ms, not up to 10 s later.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "group.coordinator.threads": 1,
        # The default lets every offset commit wait 5 ms for company.
        "group.coordinator.append.linger.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.threads": 1,
        # The default takes 128 MB of a heap of 512.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    settings |= secured.properties() if secured else {}
    return "".join(f"{name}={value}\n" for name, value in settings.items())
