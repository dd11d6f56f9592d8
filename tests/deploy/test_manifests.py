"""The files of ``deploy/``, read by the programs that will read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kexpert.workspace.settings import resolve_settings
from tests.deploy import tools

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VARIANTS = ("base", "cpu", "gpu")


def run(*command: str, **environment: str) -> str:
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_container_file_has_no_fault_that_hadolint_knows() -> None:
    run(tools.program("hadolint", tools.HADOLINT), "deploy/Containerfile")


def test_the_container_file_copies_what_there_is() -> None:
    """And nothing that ``.dockerignore`` keeps out."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in (DEPLOY / "Containerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists() and name in allowed, name


@cache
def compose(*profiles: str) -> Any:
    command = tools.program("docker-compose", tools.COMPOSE)
    options = [option for profile in profiles for option in ("--profile", profile)]
    return json.loads(
        run(command, "-f", "deploy/compose.yaml", *options, "config", "--format", "json", KEXPERT_TREE="/tree")
    )


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_compose_accepts_its_file(profile: str) -> None:
    services = compose(profile)["services"]
    assert f"model-{profile}" in services and services["web"]["deploy"]["replicas"] == 2


def test_only_the_indexer_can_write_the_index() -> None:
    services = compose()["services"]
    index = {
        name: volume.get("read_only", False)
        for name, service in services.items()
        for volume in service.get("volumes", ())
        if volume["source"] == "index"
    }
    assert index == {"indexer": False, "own-volumes": False, "web": True}
    for name in ("indexer", "web"):
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"]
        assert services[name]["user"] == "65532:65532"
    assert [port["host_ip"] for port in services["web"]["ports"]] == ["127.0.0.1"]


def test_the_server_can_read_the_tokens_whoever_made_them() -> None:
    """They are copied for its user: a file of mode 600 belongs to somebody else than the user in the container."""
    services = compose()["services"]
    copier = services["own-volumes"]
    mounts = {volume["target"]: volume for volume in copier["volumes"]}
    assert mounts["/tokens"]["read_only"] and mounts["/secrets"]["source"] == "secrets"
    assert copier["environment"]["OWNER"] == services["web"]["user"]
    (read,) = [volume for volume in services["web"]["volumes"] if volume["source"] == "secrets"]
    assert read["read_only"] and f"{read['target']}/tokens" in services["web"]["command"]
    assert services["indexer"]["depends_on"]["own-volumes"]["condition"] == "service_completed_successfully"


@cache
def manifests(variant: str) -> list[Any]:
    return list(yaml.safe_load_all(run(tools.kubectl(), "kustomize", str(KUBERNETES / variant))))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_manifests_are_what_kubernetes_expects(variant: str, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(manifests(variant)))
    folder = tools.fetched(tools.KUBERNETES_VALIDATE)
    python = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    said = run(sys.executable, "-m", "kubernetes_validate", "--strict", str(path), PYTHONPATH=python)
    assert said.lower().count("passed") == len(manifests(variant)), said


def pods(variant: str) -> dict[str, Any]:
    """The specification of each kind of pod by its label ``app``."""
    found = {}
    for manifest in manifests(variant):
        template = manifest.get("spec", {}).get("template")
        if template:
            found[template["metadata"]["labels"]["app"]] = template["spec"]
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_container_has_limits_and_no_rights(variant: str) -> None:
    for app, pod in pods(variant).items():
        assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            context, resources = container["securityContext"], container["resources"]
            assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
            assert context["allowPrivilegeEscalation"] is False
            assert "memory" in resources["limits"] and "cpu" in resources["requests"], app
    for app in set(pods(variant)) - {"indexer"}:
        container = pods(variant)[app]["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), app


def test_replicas_read_the_index_and_one_job_writes_it() -> None:
    web, indexer = pods("base")["web"], pods("base")["indexer"]
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in web["containers"][0]["volumeMounts"]}
    assert mounts == {"tree": True, "index": True, "settings": True, "tokens": True, "tmp": False}
    assert {m["name"]: m.get("readOnly", False) for m in indexer["containers"][0]["volumeMounts"]}["index"] is False
    assert "--read-only" in web["containers"][0]["args"]


def test_vllm_runs_where_a_gpu_is() -> None:
    model = pods("gpu")["model"]
    assert model["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert model["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_has_a_policy_and_every_selector_finds_a_pod(variant: str) -> None:
    apps = set(pods(variant))
    policies = [manifest["spec"] for manifest in manifests(variant) if manifest["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies, "nothing is allowed by default"
    for manifest in manifests(variant):
        if manifest["kind"] == "Service":
            assert manifest["spec"]["selector"]["app"] in apps


@pytest.mark.parametrize("path", [DEPLOY / "config.toml", KUBERNETES / "base" / "config.toml"])
def test_the_settings_are_known_and_the_same_everywhere(path: Path) -> None:
    given = tomllib.loads(path.read_text())
    settings, warnings = resolve_settings([(str(path), given)])
    assert not warnings and settings.vectors_url == "http://chroma:8000" and settings.chat_url == "http://model:8000"
    assert given == tomllib.loads((DEPLOY / "config.toml").read_text())
    assert "chroma" in compose()["services"]
    assert compose("cpu")["services"]["model-cpu"]["networks"]["inside"]["aliases"] == ["model"]
    services = {manifest["metadata"]["name"] for manifest in manifests("cpu") if manifest["kind"] == "Service"}
    assert {"chroma", "model", "web"} == services
