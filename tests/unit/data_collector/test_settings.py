import base64
import hmac
from pathlib import Path

import httpx
import pytest
from tests.unit.data_collector.conftest import FakeClock

from common.errors import ConfigurationError
from common.settings import load_settings
from data_collector.settings import CollectorSettings, load_collector_settings

SECRET = base64.b64encode(b"a secret of an account").decode()


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
    said = faults(monkeypatch, SYMBOLS=symbols, EXCHANGES="coinbase,binance")
    assert "20 symbols" in said
    assert "COLLECTOR_MODE=stream" in said
    monkeypatch.setenv("EXCHANGES", "coinbase,binance,kraken")
    assert load_settings(CollectorSettings).usable_exchanges == ("kraken",)
    monkeypatch.setenv("COLLECTOR_MODE", "stream")
    monkeypatch.setenv("EXCHANGES", "coinbase,binance")
    assert load_settings(CollectorSettings).usable_exchanges == ("coinbase", "binance")


@pytest.mark.parametrize("symbols", ["BTC-USD,BTC-USD", ","])
def test_symbols_each_once(monkeypatch: pytest.MonkeyPatch, symbols: str) -> None:
    assert "SYMBOLS" in faults(monkeypatch, SYMBOLS=symbols)


def test_urls_have_no_slash_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_REST_URL", "http://127.0.0.1:5050/kraken/")
    settings = load_settings(CollectorSettings)
    assert settings.rest_url("kraken") == "http://127.0.0.1:5050/kraken"
    assert settings.rest_url("coinbase") == "https://api.exchange.coinbase.com"


def signed(settings: CollectorSettings, venue: str, url: str) -> httpx.Headers:
    auth = settings.credentials(venue, FakeClock())
    assert auth is not None
    return next(auth.auth_flow(httpx.Request("GET", url))).headers


def write_keys(path: Path, *lines: str, mode: int = 0o600) -> None:
    path.write_text("\n".join(lines))
    path.chmod(mode)


def test_keys_of_an_account_sign_the_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.env"
    monkeypatch.setenv("CREDENTIALS_FILE", str(file))
    assert load_collector_settings().credentials("coinbase", FakeClock()) is None  # no file
    write_keys(
        file,
        "COINBASE_API_KEY=the-key",
        f"COINBASE_API_SECRET={SECRET}",
        "COINBASE_API_PASSPHRASE=phrase",
        "BINANCE_API_KEY=other-key",
    )
    settings = load_collector_settings()
    headers = signed(settings, "coinbase", "https://venue/products/BTC-USD/book?level=1")
    message = b"1767225600.000GET/products/BTC-USD/book?level=1"
    expected = hmac.digest(b"a secret of an account", message, "sha256")
    assert base64.b64decode(headers["CB-ACCESS-SIGN"]) == expected
    assert headers["CB-ACCESS-KEY"] == "the-key"
    assert headers["CB-ACCESS-TIMESTAMP"] == "1767225600.000"
    assert headers["CB-ACCESS-PASSPHRASE"] == "phrase"
    assert signed(settings, "binance", "https://venue/")["X-MBX-APIKEY"] == "other-key"
    assert settings.credentials("kraken", FakeClock()) is None
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("lines", "mode", "said"),
    [
        (["COINBASE_API_KEY=whatever-it-is"], 0o600, "COINBASE_API_PASSPHRASE, or none"),
        (["BINANCE_API_KEY=whatever-it-is"], 0o640, "chmod 600"),
        (
            [
                "COINBASE_API_KEY=k",
                "COINBASE_API_SECRET=whatever-it-is",
                "COINBASE_API_PASSPHRASE=p",
            ],
            0o600,
            "COINBASE_API_SECRET: the secret is not base64",
        ),
    ],
)
def test_wrong_keys_are_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: list[str], mode: int, said: str
) -> None:
    file = tmp_path / "credentials.env"
    write_keys(file, *lines, mode=mode)
    monkeypatch.setenv("CREDENTIALS_FILE", str(file))
    with pytest.raises(ConfigurationError) as caught:
        load_collector_settings()
    assert said in str(caught.value)
    assert "whatever-it-is" not in str(caught.value)
