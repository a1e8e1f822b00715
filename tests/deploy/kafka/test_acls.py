from pathlib import Path

import pytest

from deploy.kafka.acls import commands, main
from stream.access import ROLES
from stream.config import load_settings

DOC = Path(__file__).parents[3] / "docs" / "security.md"


def test_one_command_a_resource_with_all_of_its_operations() -> None:
    lines = commands(ROLES["worker"](load_settings(app_id="shop")), "User:CN=a shop", "b:1")
    rewards = [line for line in lines if "--topic rewards" in line]
    assert rewards == [
        "kafka-acls --bootstrap-server b:1 --add --allow-principal 'User:CN=a shop' --operation Read "
        "--operation Write --operation DescribeConfigs --topic rewards"
    ]
    assert lines[-1].endswith("--operation Write --transactional-id shop- --resource-pattern-type prefixed")
    assert lines[-2].endswith("--operation Read --group shop")


def test_the_script_prints_them_for_the_settings_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHSLATE_TOPIC_PREFIX", "eu.")
    monkeypatch.setenv("FRESHSLATE_BROKER", "localhost:1")
    assert main(["monitor", "User:m"]) == 0
    assert "--operation Read --operation DescribeConfigs --topic eu.slates" in capsys.readouterr().out
    assert main(["monitor", "User:m", "--apply"]) == 1
    assert "no Kafka broker answers at localhost:1" in capsys.readouterr().err
    monkeypatch.setenv("FRESHSLATE_PARTITIONS", "many")
    assert main(["monitor", "User:m"]) == 1
    assert "FRESHSLATE_PARTITIONS" in capsys.readouterr().err


def test_the_documented_table_is_what_the_script_makes() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOC.read_text(encoding="utf-8").partition("## ACLs")[2].splitlines()
        if line.startswith("| ")
    ]
    roles = rows[0][1:]
    documented = {
        (role, resource.strip("`"), operation)
        for resource, *cells in rows[1:]
        for role, cell in zip(roles, cells, strict=True)
        for operation in filter(None, cell.split(", "))
    }
    settings = load_settings(inputs="events")
    needed = {
        (role, f"{need.kind} {need.name}{'*' if need.is_prefix else ''}", need.operation)
        for role, needs in ROLES.items()
        for need in needs(settings)
    }
    assert documented == needed
