import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from stream.api.guard import is_this_machine
from stream.api.server import STOP_SECONDS, check_reach
from stream.config import Settings, load_settings
from stream.environment import env_name
from tests.coverage_by_mirror import ROOT
from tests.deploy import programs
from tests.deploy.command_line import parse
from tests.deploy.test_compose import DRAIN_SECONDS

CHART: Final = ROOT / "deploy" / "helm" / "freshslate"
VALUES: Final = {path.stem.removesuffix("-values"): path for path in sorted((CHART / "ci").glob("*.yaml"))}
SECURITY: Final = "FRESHSLATE_KAFKA_"

Manifest = dict[str, Any]


def template(*options: str | Path) -> str:
    done = programs.run(programs.helm(), "template", "freshslate", CHART, "--namespace", "shop", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """The chart's manifests as text, by the name of the values they are made with."""
    return {name: template("--values", path) for name, path in VALUES.items()}


def manifests(text: str) -> dict[str, Manifest]:
    """By kind and name."""
    each = [found for found in yaml.safe_load_all(text) if found]
    return {f"{found['kind']}/{found['metadata']['name']}": found for found in each}


def pods(text: str) -> dict[str, Manifest]:
    """Pod templates, by the component."""
    owners = [each for each in manifests(text).values() if "template" in each.get("spec", {})]
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"] for each in owners
    }


def container(pod: Manifest) -> Manifest:
    (found,) = pod["spec"]["containers"]
    return found  # type: ignore[no-any-return]


def environment(pod: Manifest) -> dict[str, str]:
    """Variables that the manifest itself says the value of."""
    return {each["name"]: each["value"] for each in container(pod)["env"] if "value" in each}


@pytest.mark.parametrize("name", VALUES)
def test_helm_lint_finds_nothing(name: str) -> None:
    done = programs.run(programs.helm(), "lint", "--strict", CHART, "--values", VALUES[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def conform(text: str, version: str) -> Any:
    own = Path(__file__).parent / "schemas"
    name = "{{.ResourceKind}}{{.KindSuffix}}.json"
    folders = [f"{programs.schemas() / version}/{name}", f"{own}/{name}"]
    done = programs.run(
        programs.kubeconform(), "-strict", "-summary", "-output", "json", "-kubernetes-version", version,
        *(option for folder in folders for option in ("-schema-location", folder)), text=text,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", programs.KUBERNETES)
def test_kubernetes_takes_what_the_chart_makes_and_no_misspelt_field(
    rendered: dict[str, str], version: str
) -> None:
    right = "\n---\n".join(rendered.values())
    production = manifests(rendered["production"])
    wrong = [
        yaml.safe_dump(production[key]).replace(*spelling)
        for key, spelling in {
            "Deployment/freshslate-monitor": ("livenessProbe:", "livelinessProbe:"),
            "Deployment/freshslate-api": ("preStop:", "beforeStop:"),
            "ScaledObject/freshslate-worker": ("pollingInterval:", "polingInterval:"),
            "PrometheusRule/freshslate": ("groups:", "group:"),
        }.items()
    ]
    found = conform("\n---\n".join([right, *wrong]), version)
    total = sum(len(manifests(text)) for text in rendered.values())
    assert found["summary"] == {"valid": total, "invalid": 4, "errors": 0, "skipped": 0}, found["resources"]
    told = " ".join(each["msg"] for each in found["resources"])
    assert all(field in told for field in ("livelinessProbe", "beforeStop", "polingInterval", "group"))


def test_the_chart_carries_the_rules_and_dashboards_of_deploy() -> None:
    files = CHART / "files"
    pairs = {
        **{
            path: files / "dashboards" / path.name
            for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")
        },
        ROOT / "deploy/prometheus/rules.yml": files / "rules.yml",
    }
    different = [
        str(copy)
        for path, copy in pairs.items()
        if not copy.exists() or copy.read_bytes() != path.read_bytes()
    ]
    assert not different, "run `make chart`"
    assert set(files.rglob("*.*")) == set(pairs.values()), "run `make chart`"


def test_rules_and_dashboards_arrive_unchanged(rendered: dict[str, str]) -> None:
    found = manifests(rendered["production"])
    assert found["PrometheusRule/freshslate"]["spec"] == yaml.safe_load(
        (CHART / "files/rules.yml").read_text()
    )
    boards = [each for each in found.values() if "grafana_dashboard" in each["metadata"]["labels"]]
    (data,) = [each["data"] for each in boards if "freshslate-freshness.json" in each["data"]]
    path = CHART / "files/dashboards/freshness.json"
    assert json.loads(data["freshslate-freshness.json"]) == json.loads(path.read_text())
    assert len(boards) == len(list(path.parent.glob("*.json")))


@pytest.mark.parametrize("name", VALUES)
def test_the_environment_is_settings_that_fit(
    name: str, rendered: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = set(map(env_name, Settings.model_fields))
    has_security = any(variable.startswith(SECURITY) for variable in known)
    for component, pod in pods(rendered[name]).items():
        variables = {each["name"] for each in container(pod)["env"]}
        assert {each for each in variables - known if has_security or not each.startswith(SECURITY)} == set()
        with monkeypatch.context() as patch:
            for variable, value in environment(pod).items():
                if has_security or not variable.startswith(SECURITY):
                    patch.setenv(variable, value)
            settings = load_settings()
        assert settings.worker_host == "0.0.0.0", component
        if name == "production":
            assert (settings.partitions, settings.max_sessions) == (64, 1 << 20)
            assert (settings.random_share, settings.log_features) == (0.05, True)


@pytest.mark.parametrize("name", VALUES)
def test_pods_may_do_nothing_but_their_work(name: str, rendered: dict[str, str]) -> None:
    for component, pod in pods(rendered[name]).items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"], component
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        rights = container(pod)["securityContext"]
        assert (rights["readOnlyRootFilesystem"], rights["allowPrivilegeEscalation"]) == (True, False)
        assert rights["capabilities"] == {"drop": ["ALL"]}
        mounted = {each["mountPath"]: each["name"] for each in container(pod)["volumeMounts"]}
        assert mounted["/tmp"] == "tmp"
        claimed = {"data"} if name != "scaled-by-cpu" and component == "worker" else set()
        assert {each["name"] for each in spec["volumes"]} | claimed == set(mounted.values())
        assert container(pod)["resources"]["limits"]["memory"]


def test_commands_are_ours(rendered: dict[str, str]) -> None:
    told = {name: parse(container(pod)["args"]) for name, pod in pods(rendered["production"]).items()}
    assert told == {"worker": "worker", "monitor": "monitor", "api": "api", "topics": "create"}


def test_a_worker_is_a_static_member_with_a_disk_and_time_to_stop(rendered: dict[str, str]) -> None:
    worker = manifests(rendered["minimal"])["StatefulSet/freshslate-worker"]["spec"]
    pod = worker["template"]
    (instance,) = [each for each in container(pod)["env"] if each["name"] == "FRESHSLATE_INSTANCE_ID"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert worker["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    (data_dir,) = re.findall(r"FRESHSLATE_DATA_DIR=(\S+)", dockerfile)
    assert {"name": "data", "mountPath": data_dir} in container(pod)["volumeMounts"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS
    assert f"USER {pod['spec']['securityContext']['runAsUser']}:" in dockerfile
    assert worker["replicas"] == 2


def test_probes_ask_pages_that_there_are_at_the_ports_of_the_settings(rendered: dict[str, str]) -> None:
    found = pods(rendered["production"])
    probes = {
        component: {
            kind: container(found[component])[kind]["httpGet"]["path"]
            for kind in ("startupProbe", "livenessProbe", "readinessProbe")
            if kind in container(found[component])
        }
        for component in ("worker", "monitor", "api")
    }
    alive = {"startupProbe": "/healthz", "livenessProbe": "/healthz"}
    ready = {**alive, "readinessProbe": "/readyz"}
    assert probes == {"worker": ready, "monitor": alive, "api": ready}
    for component in probes:
        port = Settings.model_fields[f"{component}_port"].default
        assert container(found[component])["ports"] == [{"name": "http", "containerPort": port}]
        service = manifests(rendered["production"])[f"Service/freshslate-{component}"]
        asked = 80 if component == "api" else port
        assert service["spec"]["ports"] == [{"name": "http", "port": asked, "targetPort": "http"}]
        assert service["metadata"]["labels"]["prometheus-job"] == f"freshslate-{component}"
    monitor = manifests(rendered["production"])["ServiceMonitor/freshslate"]["spec"]
    assert monitor["jobLabel"] == "prometheus-job"
    assert monitor["endpoints"][0]["port"] == "http"


@pytest.mark.parametrize("name", VALUES)
def test_whoever_selects_pods_finds_them(name: str, rendered: dict[str, str]) -> None:
    found = manifests(rendered[name])
    labels = {component: pod["metadata"]["labels"] for component, pod in pods(rendered[name]).items()}
    for key, each in found.items():
        spec = each.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if not selector or each["kind"] == "ServiceMonitor":
            continue
        wanted = selector.get("matchLabels", selector)
        selected = {component for component, has in labels.items() if wanted.items() <= has.items()}
        component = each["metadata"]["labels"].get("app.kubernetes.io/component")
        assert selected == ({component} if component else set(labels)), key


def test_secrets_are_mounted_by_reference_and_in_no_environment(rendered: dict[str, str]) -> None:
    for pod in pods(rendered["production"]).values():
        (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "kafka"]
        secrets = {each["secret"]["name"]: each["secret"]["items"] for each in volume["projected"]["sources"]}
        assert set(secrets) == {"kafka-ca", "freshslate-tls", "freshslate-kafka"}
        files = {f"/etc/freshslate-kafka/{item['path']}" for items in secrets.values() for item in items}
        named = {name: value for name, value in environment(pod).items() if name.endswith("_FILE")}
        assert {value for name, value in named.items() if name.startswith(SECURITY)} == files
        assert not [name for name in environment(pod) if name.endswith(("PASSWORD", "TOKEN"))]
        assert named["FRESHSLATE_RULES_FILE"] == "/etc/freshslate/rules.toml"
    hooks = manifests(rendered["production"])
    weights = [
        int(hooks[key]["metadata"]["annotations"].get("helm.sh/hook-weight", 0))
        for key in ("ConfigMap/freshslate-files", "Job/freshslate-topics")
    ]
    assert weights[0] < weights[1]
    assert "kafka" not in {each["name"] for each in pods(rendered["minimal"])["worker"]["spec"]["volumes"]}


def test_the_api_runs_only_where_it_is_asked_for(rendered: dict[str, str]) -> None:
    assert "api" not in pods(rendered["minimal"])
    assert not [key for key in manifests(rendered["scaled-by-cpu"]) if key.endswith("-api")]
    alone = template(
        "--values", VALUES["minimal"], "--set", "api.enabled=true", "--set", "api.keysSecret=keys"
    )  # fmt: skip
    assert {key for key in manifests(alone) if key.endswith("-api")} == {
        "Service/freshslate-api",
        "Deployment/freshslate-api",
        "PodDisruptionBudget/freshslate-api",
    }
    port = Settings.model_fields["api_port"].default
    assert manifests(alone)["Service/freshslate-api"]["spec"]["ports"][0]["port"] == port


def test_the_api_is_reached_with_keys_of_a_secret_that_is_followed(
    rendered: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = pods(rendered["production"])["api"]
    for variable, value in environment(pod).items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert settings.api_rate == 5000
    check_reach(settings)
    assert not is_this_machine(settings.api_host)
    (mount,) = [each for each in container(pod)["volumeMounts"] if each["name"] == "keys"]
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "keys"]
    # A file that is mounted by its subPath would stay as it was.
    assert mount == {"name": "keys", "mountPath": str(settings.api_keys_file.parent), "readOnly": True}
    assert volume["secret"]["secretName"] == "freshslate-api-keys"
    assert volume["secret"]["items"] == [{"key": "keys.toml", "path": settings.api_keys_file.name}]


def test_a_new_api_is_ready_before_an_old_one_goes_and_it_has_time_to_end(rendered: dict[str, str]) -> None:
    found = manifests(rendered["production"])
    spec = found["Deployment/freshslate-api"]["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert found["PodDisruptionBudget/freshslate-api"]["spec"]["maxUnavailable"] == 1
    program, seconds = container(spec["template"])["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
    least = json.loads((CHART / "values.schema.json").read_text())["properties"]["api"]["properties"]
    for each in (grace, least["terminationGracePeriodSeconds"]["minimum"]):
        assert each >= int(seconds) + STOP_SECONDS + 5


def test_the_ingress_leads_to_the_service_of_the_api_over_tls(rendered: dict[str, str]) -> None:
    found = manifests(rendered["production"])
    spec = found["Ingress/freshslate-api"]["spec"]
    assert spec["tls"] == [{"hosts": ["recommend.example.com"], "secretName": "recommend-tls"}]
    (rule,) = spec["rules"]
    assert rule["host"] == "recommend.example.com"
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = found[f"Service/{backend['name']}"]["spec"]
    assert backend["port"]["name"] in {each["name"] for each in service["ports"]}


def test_keda_scales_on_the_lag_of_every_input_topic(rendered: dict[str, str]) -> None:
    found = manifests(rendered["production"])
    assert "replicas" not in found["StatefulSet/freshslate-worker"]["spec"]
    spec = found["ScaledObject/freshslate-worker"]["spec"]
    settings = Settings(inputs="clicks,purchases", topic_prefix="shop.")  # type: ignore[arg-type]
    assert [each["metadata"]["topic"] for each in spec["triggers"]] == list(settings.input_topics)
    for trigger in spec["triggers"]:
        assert trigger["metadata"]["consumerGroup"] == settings.app_id
        assert trigger["metadata"]["lagThreshold"] == "10000"
        assert trigger["authenticationRef"] == {"name": "freshslate-kafka"}
    minimal = template("--values", VALUES["minimal"], "--set", "worker.autoscaling.kind=keda")
    (trigger,) = manifests(minimal)["ScaledObject/freshslate-worker"]["spec"]["triggers"]
    assert (trigger["metadata"]["topic"],) == Settings().input_topics


def test_the_cluster_scales_on_cpu_and_on_more_if_asked(rendered: dict[str, str]) -> None:
    found = manifests(rendered["scaled-by-cpu"])
    assert "replicas" not in found["StatefulSet/recommendations-worker"]["spec"]
    metrics = found["HorizontalPodAutoscaler/recommendations-worker"]["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource", "Pods"]
    assert set(found) == {
        "NetworkPolicy/recommendations",
        "Service/recommendations-worker",
        "StatefulSet/recommendations-worker",
        "HorizontalPodAutoscaler/recommendations-worker",
    }


def test_the_network_is_closed_but_for_metrics_names_and_kafka(rendered: dict[str, str]) -> None:
    policy = manifests(rendered["production"])["NetworkPolicy/freshslate"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [each["port"] for rule in policy["ingress"] for each in rule["ports"]] == ["http"]
    assert {each["port"] for rule in policy["egress"] for each in rule["ports"]} == {53, 9093}
    assert policy["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]
    callers = manifests(rendered["production"])["NetworkPolicy/freshslate-api"]["spec"]
    (rule,) = callers["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress-nginx"}
    assert callers["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["kafka.bootstrap="], "kafka.bootstrap is needed"),
        (["worker.replicas=0"], "minimum"),
        (["worker.terminationGracePeriodSeconds=5"], "minimum"),
        (["worker.replica=3"], "replica"),
        (["settings.BROKER=b"], "BROKER"),
        (["settings.data_dir=/tmp"], "data_dir"),
        (["settings.api_keys_file=/tmp/keys"], "api_keys_file"),
        (["api.enabled=true"], "api.keysSecret is needed"),
        (["api.enabled=true", "api.keysSecret=a", "api.ingress.enabled=true"], "api.ingress.host is needed"),
        (["api.replicas=0"], "minimum"),
        (["api.keySecret=a"], "keySecret"),
        (["worker.autoscaling.kind=lag"], "autoscaling"),
        (["kafka.securityProtocol=SASL_SSL"], "kafka.sasl.mechanism is needed"),
        (
            ["kafka.securityProtocol=SASL_SSL", "kafka.sasl.mechanism=PLAIN", "kafka.sasl.username=me"],
            "kafka.sasl.passwordSecret is needed",
        ),
    ],
)
def test_values_that_cannot_work_are_refused(wrong: list[str], message: str) -> None:
    options = [option for each in wrong for option in ("--set", each)]
    done = programs.run(
        programs.helm(), "template", "freshslate", CHART, "--values", VALUES["minimal"], *options
    )
    assert done.returncode != 0
    assert message in done.stderr


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
    assert f"ARG VERSION={version}\n" in (ROOT / "deploy/Dockerfile").read_text()
    compose = (ROOT / "deploy/compose.yaml").read_text()
    assert re.findall(r"image: freshslate:(\S+)", compose) == [version]
