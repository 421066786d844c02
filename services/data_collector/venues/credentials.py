"""Requests in the name of an account, for who has one: the venues' public data need none.

Coinbase: https://docs.cdp.coinbase.com/exchange/rest-api/authentication (CB-ACCESS headers, an
HMAC-SHA256 over time, method, path and body). Binance: the key alone, in ``X-MBX-APIKEY``, for
market data. Kraken: its public questions take no key.
"""

import base64
import binascii
import hmac
from collections.abc import Generator

import httpx

from common.clock import Clock, to_micros

__all__ = ["BinanceKey", "CoinbaseKey"]


class BinanceKey(httpx.Auth):
    """Adds the key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send ``request`` with the key."""
        request.headers["X-MBX-APIKEY"] = self._key
        yield request


class CoinbaseKey(httpx.Auth):
    """Signs with a key, its secret (base64) and its passphrase; `ValueError` for a wrong secret."""

    def __init__(self, key: str, secret: str, passphrase: str, clock: Clock) -> None:
        self._key = key
        self._passphrase = passphrase
        self._clock = clock
        try:
            self._secret = base64.b64decode(secret, validate=True)
        except binascii.Error as error:
            raise ValueError("the secret is not base64") from error

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send ``request`` signed."""
        seconds = f"{to_micros(self._clock.now()) / 1e6:.3f}"
        path = request.url.raw_path
        message = seconds.encode() + request.method.encode() + path + request.content
        signature = base64.b64encode(hmac.digest(self._secret, message, "sha256")).decode()
        request.headers["CB-ACCESS-KEY"] = self._key
        request.headers["CB-ACCESS-SIGN"] = signature
        request.headers["CB-ACCESS-TIMESTAMP"] = seconds
        request.headers["CB-ACCESS-PASSPHRASE"] = self._passphrase
        yield request
