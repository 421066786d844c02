"""The Kafka monitor as a process of its own against a real broker."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from playwright.sync_api import Browser, Page, sync_playwright
from tests.support.kafka_cluster import KafkaCluster
from tests.support.monitor_process import SERVICES, STOP_S, Monitor, free_port, wait_for

pytestmark = pytest.mark.integration

TOPIC = "monitored"
MESSAGES = 3_000
BASE_TIME = 1_738_324_800_000  # 2025-01-31T12:00:00Z; one message for each second


@pytest.fixture(scope="module")
def topics(kafka: KafkaCluster) -> None:
    """Make a topic with three partitions and some of every kind of message."""
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        special = {"retention.ms": "-1", "max.message.bytes": "2000000"}
        admin.create_topics([NewTopic(TOPIC, 3, 1, topic_configs=special), NewTopic("empty", 1, 1)])
        admin.wait_for_topics([TOPIC, "empty"], timeout_ms=20_000)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for number in range(MESSAGES):
            producer.send(
                TOPIC,
                json.dumps({"number": number}).encode(),
                key=f"key-{number}".encode(),
                headers=[("trace", str(number).encode())],
                partition=number % 3,
                timestamp_ms=BASE_TIME + number * 1000,
            )
        producer.flush()


@pytest.fixture(scope="module")
def monitor(
    kafka: KafkaCluster, topics: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitor]:
    running = Monitor(kafka.bootstrap, tmp_path_factory.mktemp("monitor") / "log")
    try:
        running.wait_ready()
        yield running
    finally:
        took_s = running.stop()
    assert took_s < STOP_S


def numbers(page: dict[str, Any]) -> list[int]:
    return [json.loads(message["value"]["text"])["number"] for message in page["messages"]]


def test_cluster_and_topics(monitor: Monitor, kafka: KafkaCluster) -> None:
    cluster = monitor.get("/api/cluster")
    broker = cluster["brokers"][0]
    assert f"{broker['host']}:{broker['port']}" == kafka.bootstrap
    assert broker["controller"]
    assert cluster["controller_id"] == broker["id"]
    named = {topic["name"]: topic for topic in monitor.get("/api/topics")["topics"]}
    assert broker["size"] >= named[TOPIC]["size"] > 0
    assert named[TOPIC]["messages"] == MESSAGES
    assert named["empty"]["messages"] == named["empty"]["size"] == 0


def test_partitions_and_configuration(monitor: Monitor, kafka: KafkaCluster) -> None:
    detail = monitor.get(f"/api/topics/{TOPIC}")
    with KafkaConsumer(bootstrap_servers=kafka.bootstrap) as consumer:
        ends = consumer.end_offsets([TopicPartition(TOPIC, index) for index in range(3)])
    for partition in detail["topic"]["partitions"]:
        assert partition["leader"] == 0
        assert partition["replicas"] == partition["isr"] == [0]
        assert partition["begin"] == 0
        assert partition["end"] == ends[TopicPartition(TOPIC, partition["index"])]
        assert partition["size"] > 1000
    by_topic = {
        entry["name"]: (entry["value"], entry["source"])
        for entry in detail["config"]
        if entry["source"] == "topic"
    }
    assert by_topic == {
        "retention.ms": ("-1", "topic"),
        "max.message.bytes": ("2000000", "topic"),
    }
    segment = next(each for each in detail["config"] if each["name"] == "segment.bytes")
    assert (segment["value"], segment["default"], segment["source"]) == (
        "16777216",
        "1073741824",
        "broker",
    )


def test_the_end_and_all_pages_before_it(monitor: Monitor) -> None:
    path = f"/api/topics/{TOPIC}/messages"
    page = monitor.get(path, limit=400)
    assert numbers(page) == list(range(MESSAGES - 1, MESSAGES - 401, -1))
    shown = numbers(page)
    while page["older"]:
        page = monitor.get(path, **{"from": "before", "offset": page["older"], "limit": 400})
        shown += numbers(page)
    assert shown == list(range(MESSAGES - 1, -1, -1))


def test_from_the_beginning_an_offset_and_a_time(monitor: Monitor) -> None:
    path = f"/api/topics/{TOPIC}/messages"
    assert numbers(monitor.get(path, **{"from": "beginning", "limit": 4})) == [0, 1, 2, 3]
    one = {"from": "offset", "partition": 1, "offset": 10, "limit": 2}
    assert numbers(monitor.get(path, **one)) == [31, 34]
    for moment in ("2025-01-31T12:30:00Z", BASE_TIME + 1_800_000):
        page = monitor.get(path, **{"from": "time", "time": moment, "limit": 3})
        assert numbers(page) == [1800, 1801, 1802]
    late = monitor.get(path, **{"from": "time", "time": "2100-01-01"})
    assert (late["messages"], late["newer"]) == ([], None)


def test_a_message_whole(monitor: Monitor) -> None:
    one = {"from": "offset", "offset": 0, "partition": 2, "limit": 1}
    (message,) = monitor.get(f"/api/topics/{TOPIC}/messages", **one)["messages"]
    assert message["time"] == "2025-01-31T12:00:02.000Z"
    assert message["time_source"] == "producer"
    assert message["key"]["text"] == "key-2"
    assert (message["value"]["text"], message["value"]["encoding"]) == ('{"number": 2}', "json")
    ((name, value),) = message["headers"]
    assert (name, value["text"]) == ("trace", "2")


def test_search(monitor: Monitor) -> None:
    path = f"/api/topics/{TOPIC}/messages"
    found = monitor.get(path, search="KEY-1234")
    assert numbers(found) == [1234]
    assert found["searched"] == found["available"] == MESSAGES
    assert numbers(monitor.get(path, search='"number": 777}')) == [777]
    nothing = monitor.get(path, search="no such thing", **{"from": "beginning"})
    assert (nothing["messages"], nothing["searched"], nothing["stopped_by"]) == ([], MESSAGES, None)


def test_offsets_without_messages(monitor: Monitor, kafka: KafkaCluster) -> None:
    """Transactions leave offsets that no consumer gets, here the last ones of the partition."""
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic("gaps", 1, 1)])
        admin.wait_for_topics(["gaps"], timeout_ms=20_000)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id="t") as writer:
        writer.init_transactions()
        for number in range(5):
            writer.begin_transaction()
            writer.send("gaps", json.dumps({"number": number}).encode())
            writer.commit_transaction()
    assert monitor.get("/api/topics/gaps")["topic"]["messages"] == 10
    began = time.monotonic()
    for origin, wanted in (("end", [4, 3, 2, 1, 0]), ("beginning", [0, 1, 2, 3, 4])):
        page = monitor.get("/api/topics/gaps/messages", **{"from": origin})
        assert numbers(page) == wanted
        assert page["stopped_by"] is None
    assert time.monotonic() - began < 4


def test_consumer_groups(monitor: Monitor, kafka: KafkaCluster) -> None:
    with KafkaConsumer(
        TOPIC,
        bootstrap_servers=kafka.bootstrap,
        group_id="watched/group",
        client_id="watcher",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        wait_for(lambda: consumer.poll(timeout_ms=500, max_records=10))
        place = TopicPartition(TOPIC, 0)
        consumer.commit({place: _committed(200)})
        group = monitor.get("/api/groups/watched/group")
        assert (group["state"], len(group["members"])) == ("Stable", 1)
        assert group["members"][0]["client_id"] == "watcher"
        assert len(group["members"][0]["partitions"]) == 3
        first = group["offsets"][0]
        assert (first["committed"], first["end"], first["lag"]) == (200, 1000, 800)
        assert first["member"] == "watcher"
    wait_for(lambda: monitor.get("/api/groups/watched/group")["state"] == "Empty")
    # Reading messages left no trace: no group of the monitor's own, no other offset moved.
    groups = {each["id"]: each for each in monitor.get("/api/groups")["groups"]}
    ours = {name for name in groups if "monitor" in name or "kafka-ui" in name}
    assert (ours, "watched/group" in groups) == (set(), True)  # other tests have groups of theirs
    assert [each["committed"] for each in groups["watched/group"]["offsets"]] == [200]


def _committed(offset: int) -> Any:
    from kafka.structs import OffsetAndMetadata

    return OffsetAndMetadata(offset, "", -1)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/topics/nope", 404, "there is no topic 'nope'"),
        ("/topics/bad name!/messages", 404, "there is no topic 'bad name!'"),
        (f"/topics/{TOPIC}/messages?from=offset&partition=0&offset=1001", 400, "has 0 to 1000"),
        (f"/topics/{TOPIC}/messages?from=offset&offset=1", 400, "3 partitions; add partition="),
        (f"/topics/{TOPIC}/messages?from=time&time=noon", 400, "is wrong; type 2025"),
        (f"/topics/{TOPIC}/messages?limit=1000000", 400, "from 1 to 500"),
        (f"/topics/{TOPIC}/messages?partition=3", 404, "type one from 0 to 2"),
        (f"/topics/{TOPIC}/tail?search={'x' * 201}", 400, "at most 200 characters"),
        ("/groups/nope", 404, "there is no consumer group 'nope'"),
    ],
)
def test_wrong_input_and_no_topic_made_by_it(
    monitor: Monitor, path: str, status: int, said: str
) -> None:
    answer = monitor.client.get(f"/api{path}")
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert "nope" not in [topic["name"] for topic in monitor.get("/api/topics")["topics"]]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/topics",
        f"/topics/{TOPIC}",
        f"/topics/{TOPIC}/messages",
        "/topics/empty/messages",
        "/groups",
    ],
)
def test_pages(monitor: Monitor, path: str) -> None:
    answer = monitor.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Online" in answer.text


def test_operations(monitor: Monitor) -> None:
    for path in ("/health/live", "/health/ready"):
        assert monitor.ops.get(path).status_code == 200
    assert 'kafka_ui_requests_total{status="200"}' in monitor.ops.get("/metrics").text
    health = monitor.client.get("/health")
    assert health.status_code == 200
    assert health.json()["checks"]["kafka"]["ok"]


@contextmanager
def open_tail(monitor: Monitor, position: str | None = None) -> Iterator[httpx.Response]:
    """Open a live tail, when the client of an earlier one has been missed."""
    headers = {"Last-Event-ID": position} if position else {}
    opened = ExitStack()
    found: list[httpx.Response] = []

    def attempt() -> bool:
        with ExitStack() as stack:
            request = monitor.client.stream("GET", "/api/topics/empty/tail", headers=headers)
            found.append(stack.enter_context(request))
            if found[-1].status_code == 200:
                opened.push(stack.pop_all())
        return found[-1].status_code == 200

    wait_for(attempt)
    with opened:
        yield found[-1]


def events(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield (kind, id, data) of each event that says something."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line and "data" in fields:
            data = json.loads(fields["data"])
            if data:
                yield fields["event"], fields["id"], data
            fields = {}


def tail_numbers(received: Iterator[tuple[str, str, Any]], count: int) -> tuple[list[int], str]:
    """Return the next ``count`` numbers and the position after them."""
    got: list[int] = []
    for kind, position, data in received:
        if kind == "messages":
            got += numbers({"messages": data})
        if len(got) >= count:
            return got, position
    raise AssertionError(f"the tail ended after {got}")


def send(kafka: KafkaCluster, topic: str, first: int, count: int) -> None:
    # A producer that lives through an outage would leave half-open sockets behind.
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for number in range(first, first + count):
            producer.send(topic, json.dumps({"number": number}).encode())
        producer.flush()


def test_live_tail_and_going_on_after_a_lost_connection(
    monitor: Monitor, kafka: KafkaCluster
) -> None:
    with open_tail(monitor) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        send(kafka, "empty", 0, 3)
        got, position = tail_numbers(events(lines), 3)
        assert got == [0, 1, 2]
    send(kafka, "empty", 3, 2)  # while nobody listens
    with open_tail(monitor, position) as stream:
        assert tail_numbers(events(stream.iter_lines()), 2)[0] == [3, 4]


def test_tails_are_limited_and_their_places_come_back(monitor: Monitor) -> None:
    for _ in range(2):
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(open_tail(monitor))
            refused = monitor.client.get("/api/topics/empty/tail")
            assert refused.status_code == 503
            assert "3 are already reading" in refused.json()["error"]
            assert monitor.client.get("/topics").status_code == 200  # pages go on


def test_kafka_goes_and_comes_back(monitor: Monitor, kafka: KafkaCluster) -> None:
    with open_tail(monitor) as stream:
        received = events(stream.iter_lines())
        kafka.kill()
        try:
            monitor.wait_ready(ready=False)
            assert next(received)[::2][0] == "kafka"
            for path in ("/", f"/topics/{TOPIC}/messages", "/groups"):
                began = time.monotonic()
                page = monitor.client.get(path)
                assert page.status_code == 503
                assert "Kafka does not answer" in page.text
                assert time.monotonic() - began < 2
            assert monitor.client.get("/health").status_code == 503
            assert monitor.ops.get("/health/live").status_code == 200
        finally:
            kafka.start()
        monitor.wait_ready()
        wait_for(lambda: monitor.client.get(f"/topics/{TOPIC}/messages").status_code == 200)
        assert len(monitor.get(f"/api/topics/{TOPIC}/messages", search="key-42")["messages"]) == 11
        send(kafka, "empty", 100, 1)
        assert tail_numbers(received, 1)[0] == [100]


def test_a_frozen_kafka_does_not_freeze_the_pages(monitor: Monitor, kafka: KafkaCluster) -> None:
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        monitor.wait_ready(ready=False)
        began = time.monotonic()
        assert monitor.client.get("/topics").status_code == 503
        assert time.monotonic() - began < 2
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    monitor.wait_ready()
    wait_for(lambda: monitor.client.get("/topics").status_code == 200)


def test_a_hand_over_on_one_socket_loses_no_request(
    kafka: KafkaCluster, topics: None, tmp_path: Path
) -> None:
    """Two slots accept on the socket that their supervisor owns; the old one stops with a tail."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        old = Monitor(kafka.bootstrap, tmp_path / "old", listener)
        old.wait_ready()
        with old.client.stream("GET", "/api/topics/empty/tail") as stream:
            assert stream.status_code == 200
            new = Monitor(kafka.bootstrap, tmp_path / "new", listener)
            new.wait_ready()
            old.process.terminate()
            began = time.monotonic()
            answered = 0
            while old.process.poll() is None or answered < 50:
                assert new.client.get("/topics").status_code == 200
                answered += 1
            assert time.monotonic() - began < STOP_S
            assert list(stream.iter_lines())[-1:] == [""]  # ended between two events
        assert old.process.returncode == 0
        assert "stopped" in old.log.read_text()
        assert new.client.get("/").status_code == 200
        old.stop()
        assert new.stop() < STOP_S


def test_a_killed_worker_comes_back_and_a_killed_master_leaves_none(
    kafka: KafkaCluster, topics: None, tmp_path: Path
) -> None:
    monitor = Monitor(kafka.bootstrap, tmp_path / "log")
    try:
        monitor.wait_ready()
        (worker,) = psutil.Process(monitor.process.pid).children()
        worker.kill()
        wait_for(lambda: monitor.ops_pid() not in (None, worker.pid))
        assert monitor.client.get("/topics").status_code == 200
        with open_tail(monitor):
            (worker,) = psutil.Process(monitor.process.pid).children()
            monitor.process.kill()
            wait_for(lambda: not worker.is_running(), STOP_S)
    finally:
        monitor.stop()


def test_kafka_away_from_the_start(tmp_path: Path) -> None:
    monitor = Monitor(f"127.0.0.1:{free_port()}", tmp_path / "log")
    try:
        monitor.wait_ready(ready=False)
        page = monitor.client.get("/topics")
        assert page.status_code == 503
        assert "Kafka does not answer" in page.text
    finally:
        assert monitor.stop() < STOP_S
    assert monitor.log.read_text().count("Kafka is away") <= 1
    assert "Traceback" not in monitor.log.read_text()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "nowhere", "type host:port"),
        ("LISTEN_FD", "0", "LISTEN_FD 0: "),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL"),
    ],
)
def test_wrong_settings_are_one_message(name: str, value: str, said: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "kafka_monitor"],
        env={**os.environ, "PYTHONPATH": str(SERVICES), name: value},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = [path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no chromium here; install one to see the pages tested")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found[0], args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, monitor: Monitor) -> Iterator[Page]:
    """Yield a page of phone width that must run without an error or a refused source."""
    errors: list[str] = []
    address = str(monitor.client.base_url)
    context = browser.new_context(viewport={"width": 390, "height": 800}, base_url=address)
    page = context.new_page()
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert [error for error in errors if "Failed to load resource" not in error] == []


@pytest.mark.browser
def test_live_tail_in_a_browser(page: Page, monitor: Monitor, kafka: KafkaCluster) -> None:
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic("seen", 1, 1)])
        admin.wait_for_topics(["seen"], timeout_ms=20_000)
    page.goto("/topics/seen/messages")
    button = page.get_by_role("button", name="Live tail")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Live. 0 messages").wait_for()
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        producer.send("seen", b'{"big":12345678901234567890,"small":1.10}', key=b"first")
        producer.send("seen", b"<img src=x onerror=alert(1)>", key=b"second")
        producer.flush()
    page.get_by_text("Live. 2 messages").wait_for()
    newest, oldest = page.locator(".message").all()
    assert newest.locator("summary .value").inner_text() == "<img src=x onerror=alert(1)>"
    assert page.locator("img").count() == 1  # the logo
    oldest.locator("summary").press("Enter")
    assert oldest.locator(".j-number").first.inner_text() == "12345678901234567890"
    shown = '{\n  "big": 12345678901234567890,\n  "small": 1.10\n}'
    assert oldest.locator(".payload").first.inner_text() == shown
    page.get_by_role("button", name="Stop live tail").click()
    assert "stopped" in page.locator("#told").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/", "/topics", f"/topics/{TOPIC}", f"/topics/{TOPIC}/messages"])
def test_pages_fit_a_phone(page: Page, path: str) -> None:
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.browser
def test_the_form_asks_only_what_belongs_to_the_question(page: Page) -> None:
    page.goto(f"/topics/{TOPIC}/messages")
    assert not page.get_by_label("Time (UTC)").is_visible()
    page.get_by_label("Read from").select_option("time")
    page.get_by_label("Time (UTC)").fill("2025-01-31T12:40:00Z")
    page.get_by_label("Limit").fill("2")
    page.keyboard.press("Enter")
    page.wait_for_url("**time=2025*")
    assert "offset=" not in page.url
    assert page.locator(".message .key").all_inner_texts() == ["key-2400", "key-2401"]


@pytest.mark.browser
def test_a_page_follows_kafka_by_itself(page: Page, kafka: KafkaCluster) -> None:
    page.goto("/topics")
    page.get_by_role("link", name=TOPIC, exact=True).focus()
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic("a-new-one", 1, 1)])
    page.get_by_role("link", name="a-new-one", exact=True).wait_for()
    kafka.stop()
    try:
        page.get_by_role("heading", name="Kafka does not answer").wait_for()
    finally:
        kafka.start()
    page.get_by_role("link", name="a-new-one", exact=True).wait_for()
