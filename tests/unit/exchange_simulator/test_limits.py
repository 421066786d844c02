from exchange_simulator.limits import RateLimits

SECOND = 1_000_000


def test_coinbase_ten_a_second_with_a_burst_of_fifteen() -> None:
    limits = RateLimits(1)
    allowed = [limits.take("coinbase", "a", 1, 0).allowed for _ in range(20)]
    assert allowed == [True] * 15 + [False] * 5
    allowed = [limits.take("coinbase", "a", 1, SECOND).allowed for _ in range(12)]
    assert sum(allowed) == 10
    assert limits.take("coinbase", "b", 1, SECOND).allowed


def test_binance_weighs_by_the_minute_and_bans_who_goes_on() -> None:
    limits = RateLimits(1)
    for number in range(1500):
        verdict = limits.take("binance", "a", 4, number)
        assert verdict.allowed
        assert verdict.used == 4 * (number + 1)
    refused = limits.take("binance", "a", 4, 10 * SECOND)
    assert (refused.allowed, refused.retry_after_s, refused.banned) == (False, 50, False)
    for _ in range(20):
        limits.take("binance", "a", 4, 11 * SECOND)
    banned = limits.take("binance", "a", 4, 61 * SECOND)  # a new minute does not help
    assert banned.banned
    assert 60 < banned.retry_after_s <= 120
    assert limits.take("binance", "a", 4, 200 * SECOND).allowed


def test_kraken_about_one_a_second() -> None:
    limits = RateLimits(1)
    assert all(limits.take("kraken", "a", 1, k * SECOND).allowed for k in range(100))
    assert sum(limits.take("kraken", "a", 1, 100 * SECOND).allowed for _ in range(10)) == 3


def test_zero_lifts_and_a_factor_stretches_the_limits() -> None:
    assert all(RateLimits(0).take("kraken", "a", 1, 0).allowed for _ in range(1000))
    limits = RateLimits(4)
    assert sum(limits.take("coinbase", "a", 1, 0).allowed for _ in range(100)) == 60
