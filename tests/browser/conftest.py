"""A real Chromium on the page of a real web application, fed by a market of the tests' own."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy import Engine
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster
from tests.support.market_producer import Market, fill_store, open_store
from tests.support.web_process import LiveMarket, WebProcess, free_port

from common.clock import SystemClock
from web_app.install_frontend import install

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
FRONTEND = ROOT / ".cache" / "frontend"
HISTORY_S = 2_400
# No traffic but the page's own.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


# Not for the session: Playwright's event loop runs in the tests' own thread as long as it is there,
# and a file that comes after the page's in the same process could not run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a browser; without one the tests are skipped, and say how to get it."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here: install one (apt-get install chromium) or set CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def frontend() -> Path:
    """Return a folder with the charting library, and axe for the accessibility test."""
    if not (FRONTEND / "node_modules" / "axe-core").is_dir():
        assert install(FRONTEND, dev=True) == 0
    return FRONTEND


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    cluster = KafkaCluster(provide_jars(), tmp_path_factory.mktemp("kafka"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@dataclass
class Stage:
    """A store with history, topics, and what starts a server and a market over them."""

    folder: Path
    engine: Engine
    kafka: KafkaCluster
    frontend: Path
    topics: tuple[str, str]
    market_state: Market
    port: int = field(default_factory=free_port)

    def web(self, **changes: object) -> WebProcess:
        environment: dict[str, object] = {
            "DATABASE_URL": f"sqlite:///{self.folder}/store.sqlite3",
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "TOPIC_PRICES": self.topics[0],
            "TOPIC_PREDICTIONS": self.topics[1],
            "FEED": "simulated",
            "FRONTEND_DIR": self.frontend,
            "WEB_PORT": self.port,
        }
        return WebProcess(self.folder / "web.log", None, **(environment | changes))

    def market(self) -> LiveMarket:
        """Return the market that goes on where the history ends."""
        live = LiveMarket(self.engine, self.kafka.bootstrap, self.topics, step_s=1.0)
        live.market = self.market_state
        return live


@pytest.fixture
def stage(tmp_path: Path, kafka: KafkaCluster, frontend: Path) -> Iterator[Stage]:
    name = uuid4().hex[:8]
    topics = (f"prices-{name}", f"predictions-{name}")
    kafka.create_topics(topics)
    engine = open_store(tmp_path / "store.sqlite3")
    market = Market()
    now = SystemClock().now().replace(microsecond=0)
    fill_store(engine, market, now - timedelta(seconds=HISTORY_S), HISTORY_S)
    yield Stage(tmp_path, engine, kafka, frontend, topics, market)
    engine.dispose()


@dataclass
class Watched:
    """A page and everything that it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.addresses.add(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


def watch(context: BrowserContext) -> Watched:
    """Return a new page of ``context``, watched."""
    page = context.new_page()
    page.set_default_timeout(30_000)  # the machine may be busy
    return Watched(page)
