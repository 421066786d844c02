import pytest

from common.errors import ConfigurationError
from common.settings import ServiceSettings, load_settings


def test_lists_are_read_from_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBOLS", "BTC-USD, ETH-USD,")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
    settings = load_settings(ServiceSettings)
    assert settings.symbols == ("BTC-USD", "ETH-USD")
    assert settings.kafka_bootstrap_servers == ("a:1", "b:2")


def test_every_fault_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_PORT", "70000")
    monkeypatch.setenv("FEED", "guess")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(ServiceSettings)
    message = str(caught.value)
    assert "OPS_PORT" in message
    assert "FEED" in message
    assert "'live', 'simulated' or 'replay'" in message
    assert "LOG_LEVEL" in message


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_PORT", "")
    assert load_settings(ServiceSettings).ops_port == 0
