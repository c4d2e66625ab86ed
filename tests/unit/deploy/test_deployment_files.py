"""The deployment files, read as their programs read them: there is no Docker engine in CI."""

import configparser
import io
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from dotenv import dotenv_values

from scatterlens_service.commands.serve import serve
from scatterlens_service.settings import Settings
from scatterlens_service.settings_files import files_as_they_should_be
from scatterlens_worker.commands import trainer, worker

ROOT = Path(__file__).parents[3]
SETTINGS = {f"SCATTERLENS_{name.upper()}" for name in Settings.model_fields}
OURS = ("gateway", "worker", "worker-gpu", "trainer")
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def dockerfile() -> dict[str, list[tuple[str, str]]]:
    """Instructions of each stage, in order; `FROM` first."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    stages: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            name = rest.split(" AS ")[1]
            stages[name] = []
        stages.setdefault(name, []).append((instruction, rest))
    return stages


def options(command) -> set[str]:
    app = typer.Typer()
    app.command()(command)
    parameters = typer.main.get_command(app).params
    return {name for one in parameters for name in (*one.opts, *one.secondary_opts)}


def require_runnable(arguments: list[str]) -> None:
    """The words after `scatterlens` name a command and options that it has."""
    known = options({"serve": serve, "trainer": trainer, "worker": worker}[arguments[0]])
    used = {word for word in arguments[1:] if word.startswith("--")}
    assert used <= known


# --- compose


def test_every_service_has_a_health_check_and_comes_back(compose):
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_all_parts_are_there(compose):
    services = compose["services"]
    assert set(services) == {*OURS, "postgres", "redis"}
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert services["trainer"]["profiles"] == ["train"]


def test_our_services_wait_for_healthy_servers_and_give_up_all_rights(compose):
    for name in OURS:
        service = compose["services"][name]
        assert {needed["condition"] for needed in service["depends_on"].values()} == {
            "service_healthy"
        }
        assert set(service["depends_on"]) == {"postgres", "redis"}
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["volumes"] == ["data:/data"]


def test_only_the_gateway_is_reachable_and_only_from_this_machine(compose):
    published = {n: s["ports"] for n, s in compose["services"].items() if "ports" in s}
    assert published == {"gateway": ["${SCATTERLENS_PORT:-127.0.0.1:8000}:8000"]}
    assert compose["networks"]["inside"]["internal"] is True


def test_compose_hands_on_every_setting_and_runs_only_commands_that_exist(compose):
    for name in OURS:
        service = compose["services"][name]
        assert set(service["environment"]) == SETTINGS
        require_runnable(service["command"])


def test_secrets_have_no_default(compose):
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.findall(r"\$\{\w*PASSWORD(?!:\?)", text) == []
    example = (ROOT / "deploy" / "env.example").read_text()
    assert re.findall(r"^\w*PASSWORD=.+", example, flags=re.MULTILINE) == []


def test_a_worker_is_given_longer_to_end_than_it_may_take(compose):
    for name in ("worker", "worker-gpu", "trainer"):
        grace = compose["services"][name]["stop_grace_period"]
        assert int(grace.removesuffix("s")) > 25  # its soft shutdown


def test_compose_builds_stages_that_exist(compose):
    for service in compose["services"].values():
        if "build" in service:
            assert service["build"]["target"] in dockerfile()


# --- images


@pytest.mark.parametrize("target", ["cpu", "gpu", "train"])
def test_an_image_runs_without_root_and_takes_dependencies_before_source(target):
    stage = dockerfile()[target]
    assert [rest for instruction, rest in stage if instruction == "USER"] == ["scatterlens"]
    kinds = [instruction for instruction, _ in stage]
    first_pip = kinds.index("RUN")
    assert all(position > first_pip for position, kind in enumerate(kinds) if kind == "COPY")
    assert ("ENTRYPOINT", '["scatterlens"]') in stage


def test_an_image_never_holds_both_onnxruntimes():
    gpu = " ".join(rest for _, rest in dockerfile()["gpu"])
    assert "gpu" in gpu
    assert not re.search(r"\[[^\]]*worker[^\]]*\]'", gpu)


def test_everything_that_is_copied_into_an_image_exists_and_is_not_ignored():
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for stage in dockerfile().values():
        for instruction, rest in stage:
            if instruction == "COPY":
                *sources, _ = shlex.split(rest)
                assert set(sources) <= kept
                assert all((ROOT / source).exists() for source in sources)


# --- the rest


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_comes_back_within_a_second_and_runs_a_command_that_exists(path):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # pyright: ignore
    unit.read_string(path.read_text())
    service = unit["Service"]
    assert service["User"] == "scatterlens"
    assert (service["Restart"], service["RestartSec"]) == ("always", "1")
    assert service["NoNewPrivileges"] == "yes"
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/scatterlens")
    require_runnable(arguments)


def test_there_are_units_for_one_machine_and_for_many():
    assert [path.name for path in UNITS] == [
        "scatterlens-gateway.service",
        "scatterlens-trainer.service",
        "scatterlens-worker@.service",
        "scatterlens.service",
    ]


def test_the_example_and_the_page_name_every_setting():
    text = (ROOT / "deploy" / "env.example").read_text()
    named = set(re.findall(r"^#?(SCATTERLENS_\w+)=", text, flags=re.MULTILINE))
    assert named - {"SCATTERLENS_PORT"} == SETTINGS
    page = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    assert set(re.findall(r"^\| `(SCATTERLENS_\w+)`", page, flags=re.MULTILINE)) == SETTINGS


def test_settings_are_written_from_their_list():
    wanted = files_as_they_should_be(ROOT)
    assert {p: p.read_text() for p in wanted} == wanted, "write them anew: `make settings`"


def test_every_setting_says_what_it_means():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_example_as_it_is_changes_nothing(tmp_path, monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    shown = re.sub(
        r"^#(SCATTERLENS_\w+=)", r"\1", (ROOT / "deploy" / "env.example").read_text(), flags=re.M
    )
    told = dotenv_values(stream=io.StringIO(shown))
    for name, value in told.items():
        if name in SETTINGS and value is not None:
            monkeypatch.setenv(name, value)
    said, plain = Settings(), Settings.model_construct()
    for name in Settings.model_fields:
        if name != "home":
            assert getattr(said, name) == getattr(plain, name), name


def test_a_setting_that_compose_hands_on_empty_is_not_set(monkeypatch):
    for name in SETTINGS:
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert settings.gate_shards is None
    assert settings.max_queue == 100_000
    assert settings.redis_url is None


def test_nothing_that_is_built_or_installed_here_goes_into_an_image():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    # The last line that fits a path decides.
    assert "**/node_modules" in ignored[max(i for i, one in enumerate(ignored) if one[0] == "!") :]
    assert "service/scatterlens_service/static" in ignored


def test_redis_keeps_messages_on_disk_and_refuses_rather_than_forgets():
    lines = (ROOT / "deploy" / "redis.conf").read_text().splitlines()
    said = dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    assert said["appendonly"] == "yes"
    assert said["maxmemory-policy"] == "noeviction"
