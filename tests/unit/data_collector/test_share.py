"""Whose symbols are whose: at any time somebody's, twice only around a hand-over."""

from hypothesis import given
from hypothesis import strategies as st

from data_collector.share import Share

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")
LINGER_S = 1.5


def test_what_is_assigned_is_collected_and_what_is_taken_away_lingers() -> None:
    share = Share(SYMBOLS, LINGER_S)
    assert share.at(0) == frozenset()
    assert share.assign({"BTC-USD", "ETH-USD"}, 0) == {"BTC-USD", "ETH-USD"}
    assert share.assign({"ETH-USD"}, 10) == frozenset()
    assert share.at(11.4) == {"BTC-USD", "ETH-USD"}
    assert share.at(11.6) == {"ETH-USD"}
    assert share.owned == {"ETH-USD"}


def test_one_that_comes_back_while_it_lingers_is_not_new() -> None:
    share = Share(SYMBOLS, LINGER_S)
    share.assign({"BTC-USD"}, 0)
    share.assign((), 1)
    assert share.assign({"BTC-USD"}, 2) == frozenset()
    assert share.assign((), 3) == frozenset()
    assert share.at(4.4) == {"BTC-USD"}
    assert share.assign({"BTC-USD"}, 5) == {"BTC-USD"}


def test_what_is_presumed_ends_with_the_word_of_the_group() -> None:
    share = Share(SYMBOLS, LINGER_S)
    assert share.presume(["BTC-USD", "DOGE-USD"]) == {"BTC-USD"}
    before = share.presumed
    assert share.assign({"ETH-USD"}, 0) == {"ETH-USD"}
    assert (before, share.presumed) == (True, False)
    assert share.at(1) == {"BTC-USD", "ETH-USD"}
    assert share.at(2) == {"ETH-USD"}


moves = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(SYMBOLS)), max_size=20)


@given(moves=moves, delay=st.floats(0, 1.4))
def test_hand_overs_leave_no_gap_and_end_within_the_linger(
    moves: list[tuple[int, str]], delay: float
) -> None:
    """The receiver hears of each move up to 1.4 s after the giver, as heartbeats bring it."""
    one, other = Share(SYMBOLS, LINGER_S), Share(SYMBOLS, LINGER_S)
    one.assign(SYMBOLS, 0.0)
    now, owners = 0.0, dict.fromkeys(SYMBOLS, one)
    for pause, symbol in moves:
        now += 3 + pause
        giver = owners[symbol]
        receiver = owners[symbol] = other if giver is one else one
        for share in (giver, receiver):
            word = {each for each, owner in owners.items() if owner is share}
            share.assign(word, now)
            now += delay / 2
            assert one.at(now) | other.at(now) == set(SYMBOLS)
        later = now + LINGER_S
        assert not one.at(later) & other.at(later)
        assert one.at(later) | other.at(later) == set(SYMBOLS)
