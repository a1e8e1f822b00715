from pathlib import Path

from stream.broker_config import Listener, Secured, server_properties


def lines(secured: Secured) -> dict[str, str]:
    text = server_properties(Path("data"), 9092, 9093, secured=secured)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_further_listeners_are_named_everywhere_kafka_wants_them() -> None:
    listener = Listener(
        "SECURED", "SASL_SSL", 9094, ("SCRAM-SHA-512", "PLAIN"), Path("k.pem"), advertised=9095
    )
    found = lines(Secured([listener], {"me": "word"}))
    assert found["listeners"].endswith(",SECURED://127.0.0.1:9094")
    assert found["advertised.listeners"].endswith(",SECURED://127.0.0.1:9095")
    assert found["listener.security.protocol.map"].endswith(",SECURED:SASL_SSL")
    assert found["listener.name.secured.sasl.enabled.mechanisms"] == "SCRAM-SHA-512,PLAIN"
    assert found["listener.name.secured.ssl.keystore.location"] == "k.pem"
    assert 'user_me="word";' in found["listener.name.secured.plain.sasl.jaas.config"]
    assert "authorizer.class.name" not in found


def test_clients_certificates_are_asked_for_where_their_authority_is_named() -> None:
    found = lines(Secured([Listener("MUTUAL", "SSL", 1, (), Path("k"), Path("ca"))], {}, is_authorizing=True))
    assert found["listener.name.mutual.ssl.client.auth"] == "required"
    assert found["listener.name.mutual.ssl.truststore.location"] == "ca"
    assert found["super.users"] == "User:ANONYMOUS"


def test_users_of_scram_are_made_with_the_data_folder() -> None:
    listener = Listener("S", "SASL_SSL", 1, ("SCRAM-SHA-512", "PLAIN"))
    assert Secured([listener], {"me": "w"}).storage_arguments() == [
        "--add-scram",
        "SCRAM-SHA-512=[name=me,password=w]",
    ]


def test_connections_live_as_long_as_a_listener_lets_them() -> None:
    found = lines(Secured([Listener("T", "SASL_SSL", 1, ("OAUTHBEARER",), reauth_ms=60_000)], {}))
    assert found["listener.name.t.oauthbearer.connections.max.reauth.ms"] == "60000"
    assert not any(
        "reauth" in name for name in lines(Secured([Listener("S", "SASL_SSL", 1, ("PLAIN",))], {}))
    )
