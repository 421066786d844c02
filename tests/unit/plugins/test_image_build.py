"""What an image is named by, and what may never get into it."""

import io
import tarfile
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest

_ROOT = Path(__file__).parents[3]
ansible.module_utils.__path__.append(str(_ROOT / "plugins" / "module_utils"))
from plugins.module_utils import docker_cli, image_build, minikube_images  # noqa: E402 - as above
from plugins.modules import container_image  # noqa: E402 - as above

ARGUMENTS = {"PACKAGE": "web_app", "PYTHON_IMAGE": "python:3.11-slim"}


def real_files() -> dict[str, bytes]:
    return image_build.image_files(_ROOT / "services", ["common"], "web_app")


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: (tar.extractfile(m) or io.BytesIO()).read() for m in tar.getmembers()}


def test_the_tag_changes_with_the_code_the_lock_the_base_and_nothing_else() -> None:
    files = {"Dockerfile": b"FROM x AS y\n", "web_app/a.py": b"1", "web_app/requirements.txt": b"a"}
    tag = image_build.image_tag(files, ARGUMENTS)

    assert image_build.image_tag(dict(reversed(files.items())), ARGUMENTS) != "", tag
    for name in files:
        assert image_build.image_tag({**files, name: b"other"}, ARGUMENTS) != tag
    assert image_build.image_tag(files, {**ARGUMENTS, "PYTHON_IMAGE": "python:3.13"}) != tag
    assert image_build.image_tag(files, dict(reversed(ARGUMENTS.items()))) == tag


def test_a_file_moved_between_names_gives_another_tag() -> None:
    one = image_build.image_tag({"a": b"bc"}, {})
    assert image_build.image_tag({"ab": b"c"}, {}) != one


def test_the_context_holds_the_service_and_what_is_shared_and_no_leftovers() -> None:
    names = set(real_files())
    assert {"Dockerfile", "common/ops.py", "web_app/requirements.txt"} <= names
    assert not [n for n in names if "node_modules" in n or n.endswith((".pyc", ".in"))]
    assert not [n for n in names if n.startswith(("data_collector/", "bitcoin_forecast_app/"))]


def test_equal_contents_give_an_equal_context() -> None:
    files = real_files()
    first, second = (image_build.build_context(files, {}, buildkit=True) for _ in range(2))
    assert first == second


def test_with_buildkit_no_secret_is_in_the_context() -> None:
    context = image_build.build_context(real_files(), {"pip_conf": b"s3cret"}, buildkit=True)
    assert b"s3cret" not in context


def test_without_buildkit_secrets_reach_only_the_first_stage() -> None:
    secrets = {"pip_conf": b"s3cret"}
    found = members(image_build.build_context(real_files(), secrets, buildkit=False))
    stages = found["Dockerfile"].decode().split("\nFROM ")

    assert found[".secrets/pip_conf"] == b"s3cret"
    assert "--mount" not in found["Dockerfile"].decode()
    assert "COPY .secrets/" in stages[1]
    assert not [stage for stage in stages[2:] if ".secrets" in stage]
    # Of the first stage only these go on.
    copied = [line for line in stages[-1].splitlines() if "--from=dependencies" in line]
    assert [line.split()[2] for line in copied] == ["/opt/venv", "/opt/frontend"]


def test_the_legacy_dockerfile_keeps_every_command() -> None:
    text = (_ROOT / "services" / "Dockerfile").read_text()
    plain = image_build.legacy_dockerfile(text, secrets=False)
    count = sum(line.startswith(("RUN", "COPY", "FROM")) for line in text.splitlines())
    assert sum(line.startswith(("RUN", "COPY", "FROM")) for line in plain.splitlines()) == count
    assert "RUN python -m venv" in plain


def test_the_image_runs_as_a_user_that_is_not_root_without_a_health_check() -> None:
    last = (_ROOT / "services" / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "USER 10001:0" in last
    assert "HEALTHCHECK" not in last


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (("", "", False), ""),
        (("https://i/simple", "", False), "[global]\nindex-url = https://i/simple\n"),
        (
            ("", "http://p:1", True),
            "[global]\nproxy = http://p:1\ncert = /run/secrets/ca_bundle\n",
        ),
    ],
)
def test_pip_is_configured_by_a_file(given: tuple[str, str, bool], lines: str) -> None:
    assert image_build.pip_configuration(given[0], given[1], ca_bundle=given[2]) == lines


def test_the_nodes_docker_is_read_from_what_minikube_exports() -> None:
    printed = (
        'export DOCKER_TLS_VERIFY="1"\nexport DOCKER_HOST="tcp://127.0.0.1:32771"\n'
        'export MINIKUBE_ACTIVE_DOCKERD="minikube"\n\n# To point your shell to it, run:\n'
    )
    assert minikube_images.docker_environment(printed) == {
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_HOST": "tcp://127.0.0.1:32771",
        "DOCKER_CONTEXT": "",
        "BUILDX_BUILDER": "",
    }
    assert (
        minikube_images.docker_environment('export DOCKER_HOST="ssh://docker@1.2.3.4:22"\n') == {}
    )
    assert minikube_images.docker_environment("false exit code 83\n") == {}


@pytest.mark.parametrize(
    ("client", "buildx", "command", "buildkit"),
    [
        ("28.2.2", True, ["buildx", "build", "--load"], True),
        ("28.2.2", False, ["build"], False),
        ("20.10.24", False, ["build"], True),
    ],
)
def test_the_builder_is_the_best_that_docker_has(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    client: str,
    buildx: bool,
    command: list[str],
    buildkit: bool,
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\n[ "$1" != buildx ] || exit {0 if buildx else 1}\necho {client}\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert docker_cli.build_command() == (command, buildkit)


def image(number: str, created: str, tag: str, **more: Any) -> dict[str, Any]:
    labels = {"title": "web-app", "version": tag, "description": "web-app of bitcoin-prediction"}
    told = {f"org.opencontainers.image.{key}": text for key, text in labels.items()}
    return {"Id": number, "Created": created, "Config": {"Labels": told}, **more}


def test_images_that_lost_their_names_are_known_by_their_labels() -> None:
    stranger = image("s", "2026-01-01", "s1")
    stranger["Config"]["Labels"]["org.opencontainers.image.description"] = "a page of mine"
    inspected = [
        image("new", "2026-01-03", "t1"),
        image("old", "2026-01-02", "t1"),
        image("other", "2026-01-01", "t2"),
        image("named", "2026-01-01", "t3", RepoTags=["web-app:mine"]),
        stranger,
        {"Id": "plain", "Config": {"Labels": None}},
    ]
    assert minikube_images.lost_names(inspected, "platform") == {
        "new": "platform/web-app:t1",
        "other": "platform/web-app:t2",
    }


def test_images_of_the_node_lose_the_prefix_of_docker_hub() -> None:
    printed = '[{"repoTags":["docker.io/library/a:1","docker.io/b/c:2"]},{"repoTags":["r.io/d:3"]}]'
    assert minikube_images.node_images(printed) == {"a:1", "b/c:2", "r.io/d:3"}
    assert minikube_images.node_images("") == set()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ERROR: Cannot connect to the Docker daemon at", "start it"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "-e build_ca_bundle="),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "ca_bundle="),
        ("pull access denied for mirror/python", "The base image python:3.11-slim cannot be had"),
        ("failed to do request: Head: dial tcp: no such host", "a mirror: -e python_image=NAME"),
        ('Get "https://mirror.example/v2/": net/http: request canceled', "Docker's own proxy"),
        ("toomanyrequests: You have reached your pull rate limit", "docker login"),
        ("connection broken by 'NewConnectionError('<HTTPConnection>: Failed", "-e pip_index_url="),
        ("connection broken by 'ProxyError('Cannot connect to proxy.'", "-e build_proxy="),
        ("Temporary failure in name resolution", "-e build_proxy="),
        ("SyntaxError: invalid syntax", ""),
    ],
)
def test_a_failed_build_says_what_to_type(said: str, advice: str) -> None:
    message = container_image.explain("web-app:1", [said], {"python_image": "python:3.11-slim"})
    told, _, hint = message.partition(f"cannot build web-app:1:\n{said}")
    assert told == ""
    assert advice in hint
    assert bool(hint) == bool(advice)
