"""Recordings: served exactly, at the right time, again and again; bad files are one clear error."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exchange_simulator.errors import RecordingError
from exchange_simulator.recording import load_recording
from exchange_simulator.replay import ReplayMarket

DATA = Path(__file__).parents[4] / "shared" / "data"
ORIGIN_US = 1_800_000_000_000_000


def shared(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no recordings at {DATA}")
    return path


def write(directory: Path, skew_ms: int = 1300) -> Path:
    """Write 10 s: the bid is 100 + second, one trade half a second after each quote."""
    local = [1000.0 * k for k in range(10)]
    book = {
        "local_ms": local,
        "event_ms": [int(ms) + skew_ms for ms in local],
        "bid": [100.0 + k for k in range(10)],
        "bid_qty": [1.0] * 10,
        "ask": [100.1 + k for k in range(10)],
        "ask_qty": [2.0] * 10,
    }
    trades = {
        "local_ms": [ms - 500 for ms in local],
        "trade_ms": [int(ms) - 500 + skew_ms for ms in local],
        "price": [100.0 + k for k in range(10)],
        "qty": [0.5] * 10,
        "buyer_maker": [k % 2 == 0 for k in range(10)],
    }
    path = directory / "small_bbo.parquet"
    pq.write_table(pa.table(book), path)
    pq.write_table(pa.table(trades), directory / "small_trades.parquet")
    return path


def replay(path: Path, speed: float = 1.0) -> ReplayMarket:
    return ReplayMarket(load_recording(path), "BTC-USD", speed, ORIGIN_US)


def bid_at(market: ReplayMarket, seconds: float) -> float:
    return market.quote("coinbase", "BTC-USD", ORIGIN_US + round(seconds * 1e6)).bid


def test_moments_are_mapped_onto_the_present_and_the_recorded_skew_is_kept(tmp_path: Path) -> None:
    market = replay(write(tmp_path))
    now = ORIGIN_US + 3_200_000
    quote = market.quote("coinbase", "BTC-USD", now)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (103.0, 1.0, 103.1, 2.0)
    assert quote.time_us == ORIGIN_US + 3_000_000 + 1_300_000
    last = market.trades("coinbase", "BTC-USD", now, 1)[-1]
    assert (last.price, last.taker_buys) == (103.0, True)
    assert last.time_us == ORIGIN_US + 2_500_000 + 1_300_000


def test_speed(tmp_path: Path) -> None:
    assert bid_at(replay(write(tmp_path), speed=4.0), 1.6) == 106.0


def test_at_its_end_it_starts_anew_and_times_and_ids_go_on(tmp_path: Path) -> None:
    market = replay(write(tmp_path))
    assert bid_at(market, 8.9) == 108.0
    assert bid_at(market, 9.5) == 100.0
    before = market.trades("coinbase", "BTC-USD", ORIGIN_US + 8_900_000, 1)[-1]
    after = market.trades("coinbase", "BTC-USD", ORIGIN_US + 9_600_000, 1)[-1]
    assert after.trade_id > before.trade_id
    assert after.time_us > before.time_us
    quotes = [market.quote("x", "BTC-USD", ORIGIN_US + k * 100_000) for k in range(300)]
    assert [q.time_us for q in quotes] == sorted(q.time_us for q in quotes)
    assert [q.update for q in quotes] == sorted(q.update for q in quotes)
    assert market.describe(ORIGIN_US + 9_600_000)["lap"] == 2


@pytest.mark.parametrize("name", ["spot_20230405", "usdm_20240808", "coinm_20240808_09"])
def test_real_recordings_are_served_exactly(name: str) -> None:
    path = shared(f"binance_btcusdt/{name}_bbo.parquet")
    market = replay(path)
    recording = load_recording(path)
    start = int(max(recording.quote_seen[0], recording.trade_seen[0]))
    for row in range(2000, len(recording.quote_seen), 997):
        now = ORIGIN_US + int(recording.quote_seen[row]) - start
        newest = recording.quotes[recording.quote_seen <= recording.quote_seen[row]][-1]
        quote = market.quote("binance", "BTC-USD", now)
        assert [quote.bid, quote.bid_size, quote.ask, quote.ask_size] == list(newest)
        assert market.trades("binance", "BTC-USD", now, 1)[-1].time_us <= now + 2_000_000


def test_one_second_bars_of_coinbase() -> None:
    market = replay(shared("coinbase_1s_201610/coinbase_btcusd_1s.csv.gz"))
    last = market.trades("coinbase", "BTC-USD", ORIGIN_US + 27_000_000, 2)
    assert [trade.price for trade in last] == [611.87, 611.9]
    assert last[1].size == 0.53826
    quote = market.quote("coinbase", "BTC-USD", ORIGIN_US + 27_000_000)
    assert quote.bid <= 611.9 <= quote.ask
    assert market.describe(ORIGIN_US)["book"] == "one cent around the close"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"local_ms": [1.0, 2.0]}, "columns missing: bid, bid_qty, ask, ask_qty"),
        ({"ts": ["x", "y"], **{n: [1.0, 1.0] for n in ("open", "high", "low")}}, "missing"),
        (
            {n: [1.0] for n in ("local_ms", "bid", "bid_qty", "ask", "ask_qty")},
            "needs two rows, has 1",
        ),
    ],
)
def test_unusable_files(tmp_path: Path, columns: dict[str, list[float]], said: str) -> None:
    write(tmp_path)
    path = tmp_path / "small_bbo.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(RecordingError, match=said):
        load_recording(path)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        load_recording(tmp_path / "none_bbo.parquet")
    path = write(tmp_path)
    (tmp_path / "small_trades.parquet").unlink()
    with pytest.raises(RecordingError, match=r"small_trades\.parquet: no such file"):
        load_recording(path)
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(RecordingError, match="not readable"):
        load_recording(path)
    gap = pa.table({n: [1.0, None] for n in ("local_ms", "bid", "bid_qty", "ask", "ask_qty")})
    write(tmp_path)
    pq.write_table(gap, path)
    with pytest.raises(RecordingError, match="without gaps"):
        load_recording(path)
