"""A venue whose certificate is not trusted: tried again later, never spoken to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.data_collector.conftest import FakeClock

from data_collector.errors import RetryError
from data_collector.rest import RestVenue, make_client
from data_collector.stream import StreamVenue
from data_collector.venues import ADAPTERS
from data_collector.venues.streams import STREAMS


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's context with a certificate that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def server(context: ssl.SSLContext, spoken: list[bytes]) -> AsyncIterator[int]:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoken.append(await reader.read(100))
        writer.close()

    listener = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


def test_polling(untrusted: ssl.SSLContext) -> None:
    spoken: list[bytes] = []

    async def run() -> object:
        adapter = ADAPTERS["kraken"]
        async with (
            server(untrusted, spoken) as port,
            make_client(f"https://127.0.0.1:{port}", 5) as client,
        ):
            plan = adapter.plan(["BTC-USD"], 1.0) or ()
            venue = RestVenue(adapter, client, plan, FakeClock())
            return (await venue.observe(["BTC-USD"], 5))["BTC-USD"]

    outcome = asyncio.run(run())
    assert isinstance(outcome, RetryError)
    assert "CERTIFICATE_VERIFY_FAILED" in str(outcome)
    assert spoken == []


def test_streaming(untrusted: ssl.SSLContext) -> None:
    spoken: list[bytes] = []

    async def run() -> object:
        async with server(untrusted, spoken) as port:
            url = f"wss://127.0.0.1:{port}"
            venue = StreamVenue(STREAMS["kraken"], url, ["BTC-USD"], 5, FakeClock())
            return await venue._connect_once()

    outcome = asyncio.run(run())
    assert isinstance(outcome, RetryError)
    assert "CERTIFICATE_VERIFY_FAILED" in str(outcome)
    assert spoken == []
