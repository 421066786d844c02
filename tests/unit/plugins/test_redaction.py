"""No secret in a support bundle, and nothing else taken out."""

from typing import Any

import pytest
from plugins.module_utils.redaction import HIDDEN, is_secret, redacted, redacted_text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://bitcoin:S3cretS3cret@database:5432/bitcoin",
        "https://user:S3cretS3cret@mirror.example.com/simple",
        "Authorization: Bearer S3cretS3cret",
        "PASSWORD=S3cretS3cret",
        "COINBASE_API_SECRET='S3cretS3cret'",
        '{"token": "S3cretS3cret"}',
        "api-key: S3cretS3cret",
        "-----BEGIN RSA PRIVATE KEY-----\nS3cretS3cret\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nS3cretS3cret, and the end was cut off",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    assert "S3cretS3cret" not in redacted_text(text)
    assert HIDDEN in redacted_text(text)


def test_known_values_are_taken_out_wherever_they_are() -> None:
    assert redacted_text("a=hunter22, hunter22x", ["hunter22", "a"]) == f"a={HIDDEN}, {HIDDEN}x"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z INFO web-app Returning 12 metrics data points",
        "http://localhost:5001/api/health answers",
        "WEB_TOKEN_FILE=/home/me/instances/default/etc/web_token",
        "the key of the topic is the symbol",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    assert redacted_text(text) == text


def test_objects_lose_secret_values_and_keep_references() -> None:
    container: dict[str, Any] = {
        "env": [
            {"name": "DB_PASSWORD", "value": "S3cret"},
            {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database"}}},
            {"name": "SYMBOLS", "value": "BTC-USD"},
        ],
        "token": "S3cret",
        "automountServiceAccountToken": False,
    }
    assert redacted(container) == {
        "env": [
            {"name": "DB_PASSWORD", "value": HIDDEN},
            {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database"}}},
            {"name": "SYMBOLS", "value": "BTC-USD"},
        ],
        "token": HIDDEN,
        "automountServiceAccountToken": False,
    }


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("POSTGRES_PASSWORD", True), ("apiKey", True),
        ("client-key-data", True),
        ("accessToken", True), ("POSTGRES_PASSWORD_FILE", False), ("secretName", False),
        ("partition-key-count", False), ("TOPIC_PRICES", False),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret(name) is secret
