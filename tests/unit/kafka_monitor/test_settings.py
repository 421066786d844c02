"""Wrong settings are all named at once, before anything starts."""

import socket

import pytest

from common.errors import ConfigurationError
from common.serving import require_address
from common.settings import load_settings
from kafka_monitor.server import MonitorSettings


def test_every_fault_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_PORT", "70000")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker")
    monkeypatch.setenv("WEB_MAX_TAILS", "0")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(MonitorSettings)
    for name in ("WEB_PORT", "KAFKA_BOOTSTRAP_SERVERS", "WEB_MAX_TAILS", "type host:port"):
        assert name in str(caught.value)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"WEB_PORT: .*:{port}: .*choose another"):
            require_address(MonitorSettings(web_port=port))


def test_an_inherited_socket_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        settings = MonitorSettings(listen_fd=mine.fileno())
        require_address(settings)
        assert settings.bind == f"fd://{mine.fileno()}"
        assert mine.getsockname()  # it was only looked at


def test_an_inherited_file_that_is_no_listening_socket() -> None:
    with socket.socket() as idle, pytest.raises(ConfigurationError, match="does not listen"):
        require_address(MonitorSettings(listen_fd=idle.fileno()))
    with pytest.raises(ConfigurationError, match="LISTEN_FD 999: Bad file descriptor"):
        require_address(MonitorSettings(listen_fd=999))
