from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.settings import load_settings
from web_app.settings import WebSettings


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> WebSettings:
    for name, value in ({"DATABASE_URL": "sqlite:///store"} | environment).items():
        monkeypatch.setenv(name, value)
    return load_settings(WebSettings)


def test_an_inherited_socket_goes_before_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, WEB_PORT="5005").bind == "127.0.0.1:5005"
    assert load(monkeypatch, LISTEN_FD="0").bind == "fd://0"


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, DATABASE_URL="mysql://x/y", WEB_PORT="99999", SYMBOLS=",", FEED="old")
    text = str(caught.value)
    assert "DATABASE_URL: " in text
    assert "sqlite:///" in text
    assert "WEB_PORT: " in text
    assert "SYMBOLS: " in text
    assert "FEED: " in text


def test_the_library_is_looked_for_where_it_was_put(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load(monkeypatch, FRONTEND_DIR=str(tmp_path))
    assert settings.vendor_dir == tmp_path / "node_modules"


def test_no_message_repeats_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(monkeypatch, WEB_TOKEN="too-short", DATABASE_URL="mysql://user:hidden@host/db")
    text = str(caught.value)
    assert "WEB_TOKEN: " in text
    assert "16 characters" in text
    assert "too-short" not in text
    assert "hidden" not in text
