"""What a person is told of an API's refusal."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from plugins.module_utils.kube_api import Forbidden, Kube, KubeError
from tests.support.fake_api_server import kubeconfig_of

Answering = Callable[[int, str], Kube]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    """Yield how to make a client of an API that gives one answer to everything."""
    servers: list[HTTPServer] = []

    def make(status: int, message: str) -> Kube:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps({"message": message}).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = tmp_path / "config"
        file.write_text(yaml.safe_dump(kubeconfig_of(f"http://127.0.0.1:{server.server_port}")))
        return Kube(str(file), "")

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (401, "Unauthorized", "does not accept the credentials of context .*-e kube_context="),
        (403, 'User "system:anonymous" cannot get path', "log in again, .*-e kube_context="),
        (403, 'User "dev" cannot get path', 'User "dev" cannot get path'),
        (500, "etcd is away", "the cluster refused /version: etcd is away"),
    ],
)
def test_a_refusal_says_what_to_do(
    answering: Answering, status: int, message: str, said: str
) -> None:
    with pytest.raises(KubeError, match=said) as raised:
        answering(status, message).get("/version")
    assert isinstance(raised.value, Forbidden) == ("dev" in message)


def test_what_is_not_there_is_no_refusal(answering: Answering) -> None:
    with pytest.raises(KeyError):
        answering(404, "not found").get("/version")


@pytest.mark.parametrize(
    ("no_proxy", "said"),
    [
        ("", "type: export NO_PROXY=127.0.0.2 "),
        ("localhost", "type: export NO_PROXY=localhost,127.0.0.2 "),
        ("127.0.0.2", "-e kube_context=NAME"),
    ],
)
def test_a_proxy_between_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_proxy: str, said: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, no_proxy)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://user:hidden@127.0.0.1:1")
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(kubeconfig_of("https://127.0.0.2:1")))
    with pytest.raises(KubeError) as raised:
        Kube(str(file), "").get("/version")
    assert said in str(raised.value)
    assert "does not answer: [Errno 111] Connection refused. I" in str(raised.value)
    assert "hidden" not in str(raised.value)
