from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from stream.environment import env_name, problems, service_links, unknown_names

KNOWN = ("FRESHSLATE_BROKER", "FRESHSLATE_WORKER_PORT")


class Sample(BaseModel):
    share: Annotated[float, Field(gt=0, lt=1)]
    size: int


def test_a_setting_is_named_in_capitals_with_the_prefix() -> None:
    assert env_name("worker_port") == "FRESHSLATE_WORKER_PORT"


def test_known_names_and_other_peoples_names_are_no_problem() -> None:
    environ = {"FRESHSLATE_BROKER": "b", "freshslate_broker": "b", "PATH": "/bin", "FRESH": ""}
    assert list(unknown_names(environ, KNOWN)) == []


def test_an_unknown_name_comes_with_the_closest_known_one() -> None:
    (line,) = unknown_names({"FRESHSLATE_BROKERS": "b"}, KNOWN)
    assert line == "FRESHSLATE_BROKERS: there is no such setting; did you mean FRESHSLATE_BROKER?"


def test_every_variable_of_a_kubernetes_service_is_a_link() -> None:
    environ = {
        "FRESHSLATE_SERVICE_HOST": "10.0.0.7",
        "FRESHSLATE_SERVICE_PORT": "80",
        "FRESHSLATE_SERVICE_PORT_HTTP": "80",
        "FRESHSLATE_PORT": "tcp://10.0.0.7:80",
        "FRESHSLATE_PORT_80_TCP": "tcp://10.0.0.7:80",
        "FRESHSLATE_PORT_80_TCP_PROTO": "tcp",
        "FRESHSLATE_PORT_80_TCP_PORT": "80",
        "FRESHSLATE_PORT_80_TCP_ADDR": "10.0.0.7",
    }
    assert service_links(environ) == set(environ)
    assert list(unknown_names(environ, KNOWN)) == []


def test_without_a_service_nothing_is_a_link() -> None:
    environ = {"FRESHSLATE_WORKER_PORT": "tcp://10.0.0.7:80"}
    assert service_links(environ) == set()


def test_a_setting_beside_a_service_stays_a_setting() -> None:
    environ = {"FRESHSLATE_WORKER_SERVICE_HOST": "10.0.0.7", "FRESHSLATE_WORKER_PORT": "6066"}
    assert service_links(environ) == {"FRESHSLATE_WORKER_SERVICE_HOST"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"share": 1, "size": 1}, ["FRESHSLATE_SHARE: 1 Input should be less than 1"]),
        (
            {"share": "a", "size": "b"},
            ["FRESHSLATE_SHARE: 'a' is not a number", "FRESHSLATE_SIZE: 'b' is not a whole number"],
        ),
    ],
)
def test_a_validation_error_becomes_one_line_per_value(values: dict[str, object], told: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(values)
    assert list(problems(caught.value)) == told
