import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from state.errors import SetupError
from stream.api.keys import ADMIN, ANY_TENANT, read_keys
from stream.api.server import STOP_SECONDS, check_reach
from stream.config import Settings, load_settings
from stream.environment import env_name
from tests.coverage_by_mirror import ROOT
from tests.deploy import programs
from tests.deploy.command_line import parse

DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"
DRAIN_SECONDS = Settings().stop_seconds + 5
"""Longest stop, the broker frozen (docs/deploy.md, Stopping), and time for the process to end."""


def services() -> dict[str, Any]:
    """As they are written, with the parts that several share filled in."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def ours() -> dict[str, Any]:
    return {name: each for name, each in services().items() if each["image"].startswith("freshslate:")}


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """Files of the repository by where they are mounted."""
    pairs = (volume.split(":") for volume in service.get("volumes", ()))
    return {inside: DEPLOY / outside for outside, inside, *_ in pairs if outside.startswith(".")}


@pytest.mark.timeout(900)
def test_compose_reads_the_file_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    done = programs.run(programs.compose_config(), FILE)
    assert done.returncode == 0, done.stderr
    project = json.loads(done.stdout)
    assert project["name"] == "freshslate"
    assert set(project["services"]) == {
        "kafka",
        "topics",
        "worker",
        "monitor",
        "api",
        "shop",
        "prometheus",
        "grafana",
    }
    assert project["services"]["worker"]["deploy"]["replicas"] == 2
    assert project["services"]["topics"]["build"]["context"] == str(ROOT)
    for wrong in (("read_only:", "read_onyl:"), ("  topics:\n    <<", "  topic:\n    <<")):
        spoiled = tmp_path / "compose.yaml"
        spoiled.write_text(FILE.read_text().replace(*wrong))
        assert programs.run(programs.compose_config(), spoiled).returncode == 1, wrong


def test_every_mounted_file_is_there() -> None:
    found = [path for service in services().values() for path in mounts(service).values()]
    assert len(found) == 6
    assert not [path for path in found if not path.exists()]


def test_every_command_is_one_of_ours_with_options_that_it_has() -> None:
    assert {name: parse(service["command"]) for name, service in ours().items()} == {
        "topics": "create",
        "worker": "worker",
        "monitor": "monitor",
        "api": "api",
        "shop": "simulate",
    }
    with pytest.raises(Exception, match="No such option"):
        parse(["simulate", "--speed", "3"])
    with pytest.raises(Exception, match="No such command"):
        parse(["topics", "erase"])


@pytest.mark.parametrize("name", ["topics", "worker", "monitor", "api", "shop"])
def test_the_environment_is_settings_that_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = ours()[name]["environment"]
    assert all(isinstance(value, str) for value in environment.values())
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert {env_name(field) for field in settings.model_fields_set} == set(environment)
    # The shop compares the groups, so it has to know that there are two.
    assert settings.random_share > 0
    advertised = services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{settings.broker}," in advertised


def test_containers_of_ours_may_do_little_and_have_time_to_stop() -> None:
    for name, service in ours().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"]
        assert "/tmp" in service["tmpfs"]
        assert "user" not in service
    grace = {name: int(ours()[name]["stop_grace_period"].removesuffix("s")) for name in ("worker", "api")}
    assert grace["worker"] > DRAIN_SECONDS
    assert grace["api"] > STOP_SECONDS
    assert ours()["worker"]["volumes"] == ["state:/var/lib/freshslate"]


def test_every_port_is_of_this_machine_alone() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert len(ports) == 4
    assert not [port for port in ports if not port.startswith("127.0.0.1:")]


def test_the_api_is_for_this_machine_alone_since_everybody_knows_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = ours()["api"]
    port = Settings.model_fields["api_port"].default
    assert api["ports"] == [f"127.0.0.1:{port}:{port}"]
    for variable, value in api["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    check_reach(settings)
    with pytest.raises(SetupError, match="no keys"):
        check_reach(settings.model_copy(update={"api_keys_file": None}))
    content = mounts(api)[str(settings.api_keys_file)].read_bytes()
    header = FILE.read_text().partition("\nname:")[0]
    (key,) = re.findall(r"/console \(key: (\S+)\)", header)
    access = read_keys(content).find(key)
    assert access is not None
    # The console shows dead letters and policies, which are every tenant's.
    assert (access.rights, access.tenant) == ({ADMIN}, ANY_TENANT)
    assert f"A DEMO KEY THAT EVERYBODY KNOWS: {key}." in content.decode()


def test_health_is_asked_at_the_port_of_each() -> None:
    for name in ("monitor", "api"):
        check = ours()[name]["healthcheck"]["test"]
        assert check[-1] == str(Settings.model_fields[f"{name}_port"].default)
    assert "healthcheck" not in ours()["worker"]
    assert all(ours()[name]["healthcheck"] == {"disable": True} for name in ("topics", "shop"))


def test_prometheus_scrapes_the_services_by_the_names_of_jobs_that_rules_and_dashboards_use() -> None:
    inside = mounts(services()["prometheus"])
    config = yaml.safe_load(inside["/etc/prometheus/prometheus.yml"].read_text())
    assert set(config["rule_files"]) <= set(inside)
    scraped = {
        job["job_name"]: (*job["dns_sd_configs"][0]["names"], job["dns_sd_configs"][0]["port"])
        for job in config["scrape_configs"]
    }
    fields = Settings.model_fields
    assert scraped == {
        "freshslate-worker": ("worker", fields["worker_port"].default),
        "freshslate-monitor": ("monitor", fields["monitor_port"].default),
        "freshslate-api": ("api", fields["api_port"].default),
    }
    assert {name for name, _ in scraped.values()} <= set(services())


def test_grafana_finds_prometheus_and_every_dashboard() -> None:
    grafana = services()["grafana"]
    inside = mounts(grafana)
    provisioning = "/etc/grafana/provisioning"
    (source,) = yaml.safe_load(inside[f"{provisioning}/datasources/freshslate.yaml"].read_text())[
        "datasources"
    ]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load(inside[f"{provisioning}/dashboards/freshslate.yaml"].read_text())[
        "providers"
    ]
    folder = provider["options"]["path"]
    boards = {path.name: json.loads(path.read_text())["uid"] for path in inside[folder].glob("*.json")}
    assert set(boards.values()) >= {
        f"freshslate-{name}" for name in ("freshness", "recommendations", "pipeline", "resources", "api")
    }
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (str(home.parent), home.name in boards) == (folder, True)
