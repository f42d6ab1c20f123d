"""The container's files, without Docker: they fit together, and their commands run with the project's recording."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import tomllib
import yaml
from conftest import REPOSITORY
from processes import run_python, start_python, stop

FOLDER = REPOSITORY / "device_apps" / "container"
STATE = PurePosixPath("/var/lib/edge-ssd")


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, arguments) of each line of the Dockerfile; continued lines are joined."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    joined = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def arguments_of(name: str) -> list[str]:
    """Return the command of the one instruction with this name, given as a JSON list: without a shell."""
    (text,) = [rest for instruction, rest in instructions() if instruction == name]
    command: list[str] = json.loads(text[text.index("[") :])
    return command


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "camera.toml").read_text(encoding="utf-8"))


def test_dockerfile_copies_only_what_exists_and_is_not_ignored() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    included = {line[1:] for line in lines if line.startswith("!")}
    copied = [word for name, rest in instructions() if name == "COPY" for word in shlex.split(rest)[:-1]]
    from_context = [word for word in copied if not word.startswith(("-", "/"))]
    assert {word.rstrip("/") for word in from_context} == included
    assert all((REPOSITORY / word).exists() for word in from_context)


def test_dockerfile_runs_as_user_with_known_extras() -> None:
    text = " ".join(rest for name, rest in instructions() if name == "RUN")
    extras = re.search(r"\.\[([a-z,]+)\]", text)
    assert extras is not None
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras[1].split(",")) == {"device", "web", "mqtt"} <= set(project["optional-dependencies"])
    assert "opencv-python-headless==" in (REPOSITORY / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    assert ("USER", "1000") in instructions()
    assert "useradd --uid 1000 " in text
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1


def test_compose_mounts_what_the_configuration_names(compose: dict[str, Any], config: dict[str, Any]) -> None:
    camera = compose["services"]["camera"]
    assert (FOLDER / camera["build"]["context"] / camera["build"]["dockerfile"]).is_file()
    mounts = {}
    for service in compose["services"].values():
        assert service["restart"] == "unless-stopped"
        for mount in service.get("volumes", []):
            source, target = mount.split(":")[:2]
            assert (FOLDER / source).exists() if source.startswith(".") else source in compose["volumes"]
            mounts[target] = source
    assert mounts[str(STATE)] == "state"
    assert arguments_of("CMD")[2] in mounts
    assert (
        FOLDER / mounts[str(PurePosixPath(config["source"]).parent)] / PurePosixPath(config["source"]).name
    ).is_file()
    secrets = {f"/run/secrets/{name}" for name in camera["secrets"]}
    assert {config["web-token-file"], config["mqtt-password-file"]} == secrets
    assert set(compose["secrets"]) == set(camera["secrets"])
    user, _, host = config["mqtt"].removeprefix("mqtt://").partition("/")[0].partition("@")
    assert host in compose["services"]
    assert f" {user} " in compose["services"][host]["command"][2]
    assert config["web"].partition(":")[2] + ":8080" in camera["ports"]


@pytest.mark.parametrize(
    ("port", "token", "line"),
    [
        ("8 0", "", "the port must be a number, got '8 0'"),
        ("1", "two\nlines", "the web token must be one line of ASCII"),
        ("1", "\u20ac", "the web token must be one line of ASCII"),
        ("99999", "\ufefftoken", "the web token must be one line of ASCII"),
    ],
)
def test_health_check_that_cannot_ask_is_one_line(port: str, token: str, line: str) -> None:
    done = run_python(FOLDER / "healthcheck.py", port, env={"EDGE_SSD_WEB_TOKEN": token})
    assert (done.returncode, done.stdout, done.stderr) == (1, f"{line}\n", "")


def test_entry_point_health_check_and_stop(tmp_path: Path, compose: dict[str, Any]) -> None:
    """The image's own commands, with the paths of this machine, and a broker that is away."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = (FOLDER / "camera.toml").read_text(encoding="utf-8")
    for inside, outside in (
        ("/clips", REPOSITORY / "device_apps" / "clips"),
        ("/run/secrets", tmp_path),
        ("0.0.0.0:8080", f"127.0.0.1:{port}"),
        ("@mosquitto/", "@127.0.0.1:1/"),
    ):
        assert inside in text
        text = text.replace(inside, str(outside))
    (tmp_path / "camera.toml").write_text(text)
    for name in ("web_token", "mqtt_password"):
        (tmp_path / name).write_text("a-secret-that-is-long-enough\n")
        (tmp_path / name).chmod(0o600)
    assert arguments_of("ENTRYPOINT") == ["edge-ssd"]
    command = [str(tmp_path / "camera.toml") if word.endswith("camera.toml") else word for word in arguments_of("CMD")]
    state = tmp_path / "state"
    state.mkdir()
    environment = {"PYTHONPATH": str(REPOSITORY), "STATE_DIRECTORY": str(state), "PATH": "/usr/bin:/bin"}
    process = start_python("-m", "edge_ssd", *command, cwd=state, env=environment)
    (program,) = [word for word in arguments_of("HEALTHCHECK") if word.endswith(".py")]

    def health(token: str) -> subprocess.CompletedProcess[str]:
        name = FOLDER / PurePosixPath(program).name
        return run_python(name, port, env={"EDGE_SSD_WEB_TOKEN": token})

    try:
        assert health("").returncode == 1  # nobody listens yet
        for _ in range(100):
            healthy = health("a-secret-that-is-long-enough")
            if healthy.returncode == 0:
                break
            assert process.poll() is None, process.communicate()
            time.sleep(0.5)
        assert (healthy.returncode, healthy.stdout) == (0, "ok\n")
        refused = health("another")
        assert (refused.returncode, refused.stderr) == (1, "")
        stop(process, within_s=int(compose["services"]["camera"]["stop_grace_period"].removesuffix("s")))
    finally:
        process.kill()
        process.communicate()
    assert {path.name for path in state.iterdir()} >= {"events.jsonl", "snapshots"}
    assert any(path.suffix == ".sqlite" for path in state.iterdir())  # unsent events
