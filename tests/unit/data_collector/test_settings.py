import pytest

from common.errors import ConfigurationError
from common.settings import load_settings
from data_collector.settings import CollectorSettings


def faults(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(CollectorSettings)
    return str(caught.value)


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = faults(
        monkeypatch,
        EXCHANGES="coinbase,mtgox",
        SPOOL_FSYNC="sometimes",
        JUMP_FLOOR="2",
        COINBASE_REST_URL="not a url",
    )
    for name in ("EXCHANGES", "SPOOL_FSYNC", "JUMP_FLOOR", "COINBASE_REST_URL"):
        assert name in said
    assert "coinbase, binance, kraken" in said


def test_more_symbols_than_a_venue_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = ",".join(f"S{number}-USD" for number in range(20))
    said = faults(monkeypatch, SYMBOLS=symbols, EXCHANGES="coinbase")
    assert "20 symbols" in said
    assert "leave coinbase out" in said


@pytest.mark.parametrize("symbols", ["BTC-USD,BTC-USD", ","])
def test_symbols_each_once(monkeypatch: pytest.MonkeyPatch, symbols: str) -> None:
    assert "SYMBOLS" in faults(monkeypatch, SYMBOLS=symbols)


def test_urls_have_no_slash_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_REST_URL", "http://127.0.0.1:5050/kraken/")
    settings = load_settings(CollectorSettings)
    assert settings.rest_url("kraken") == "http://127.0.0.1:5050/kraken"
    assert settings.rest_url("coinbase") == "https://api.exchange.coinbase.com"
