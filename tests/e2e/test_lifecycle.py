"""The lifecycle contract on one instance, in the order of this file.

Each test leaves the instance running; what a mode must keep is compared before and after.
"""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pyarrow.parquet as pq
import pytest
from tests.e2e.cluster_platform import ClusterPlatform
from tests.e2e.conftest import free_ports
from tests.e2e.load import RequestLoad, StreamClients
from tests.e2e.local_platform import TOPICS, LocalPlatform, Run, wait_until
from tests.support.prometheus import Prometheus, needs_prometheus

from common.wire import HORIZONS_S

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SERVICES = ("data-collector", "bitcoin-forecast-app", "web-app", "kafka-ui", "zookeeper", "kafka")


@pytest.fixture(scope="module")
def live(platform: LocalPlatform) -> LocalPlatform:
    """Build once, with the simulated exchange, and wait for the first prediction."""
    first = platform.run("build.yml", "--check", market_data="simulated", **platform.ports)
    assert first.code == 0, first.output
    assert not platform.directory.exists(), "check mode made the instance"
    built = platform.succeed("build.yml", market_data="simulated", **platform.ports)
    assert platform.web.rsplit(":", 1)[1] in built.output
    assert "simulated" in built.output
    platform.wait_for_new_prediction()
    return platform


@pytest.fixture
def local(live: LocalPlatform) -> LocalPlatform:
    """For what only the local target has: processes, layers and files of this machine."""
    if isinstance(live, ClusterPlatform):
        pytest.skip("of the local target")
    return live


@pytest.fixture
def cluster(live: LocalPlatform) -> ClusterPlatform:
    """For what only a cluster has: pods, images, autoscalers."""
    if not isinstance(live, ClusterPlatform):
        pytest.skip("of a cluster")
    return live


def test_a_built_system_is_healthy_and_says_that_its_data_are_simulated(
    live: LocalPlatform,
) -> None:
    health = wait_until(
        lambda: (found := live.health())["status"] == "ok" and found, 20, "good health"
    )
    assert health["feed"] == "simulated"
    assert health["last_tick_age_s"] < 5
    assert httpx.get(live.web, timeout=5).status_code == httpx.codes.OK
    assert httpx.get(live.kafka_ui_health, timeout=5).status_code == httpx.codes.OK
    assert set(SERVICES) <= set(live.process_names().values())


def test_nothing_listens_beyond_loopback(local: LocalPlatform) -> None:
    addresses = {
        connection.laddr.ip
        for process in local.processes().values()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_each_tick_is_stored_once_with_its_prediction(live: LocalPlatform) -> None:
    newest = live.last_sequence()
    wait_until(lambda: live.last_predicted() > newest + 3_000_000, 20, "three more seconds")
    ticks, predicted = live.query(
        "SELECT count(*), (SELECT count(DISTINCT sequence) FROM predictions) FROM ticks"
    )
    assert abs(ticks - predicted) <= 1  # one may be in between the two counts


def test_building_again_changes_nothing(live: LocalPlatform) -> None:
    before = live.untouched()
    again = live.succeed("build.yml")
    assert again.changed == 0, again.output
    assert live.untouched() == before


def test_check_mode_changes_nothing_on_a_running_system(live: LocalPlatform) -> None:
    before = live.untouched()
    live.succeed("build.yml", "--check")
    live.succeed("update.yml", "--check", service="web-app")
    live.succeed("shutdown.yml", "--check", mode="stop")
    assert live.untouched() == before


def test_status_and_logs_only_look(live: LocalPlatform) -> None:
    status = live.succeed("status.yml")
    assert status.changed == 0
    for word in (*SERVICES, *TOPICS, live.ports["web_app_port"], live.target):
        assert str(word) in status.output
    httpx.get(f"{live.web}/api/metrics-data", timeout=10).raise_for_status()
    for name, line in {
        "predictions": "Made prediction for timestamp",
        "saves": "Saved data to",
        "metrics": "metrics data points",
    }.items():
        logs = live.succeed("logs.yml", filter=name, tail=20)
        shown = [text for text in logs.output.splitlines() if line in text]
        assert shown, logs.output
    only = live.succeed("logs.yml", service="data-collector", tail=5)
    assert "Saved data to" in only.output
    assert "Made prediction" not in only.output


@needs_prometheus
def test_prometheus_has_what_the_dashboard_shows(local: LocalPlatform, tmp_path: Path) -> None:
    files = tmp_path / "monitoring"
    local.succeed("build.yml", monitoring="true", monitoring_dir=files)
    panels = json.loads((files / "dashboard.json").read_text())["panels"]
    asked = {
        target["expr"].replace("$__rate_interval", "1m").replace("$instance_name", local.instance)
        for panel in panels
        for target in panel["targets"]
    }
    server = Prometheus(files / "prometheus.yml", tmp_path, free_ports(1)[0])
    with (
        server,
        StreamClients(f"{local.web}/api/v1/stream", 1),
        RequestLoad(f"{local.web}/api/v1/latest", 5),
    ):

        def without() -> list[str]:
            return [each for each in asked if not server.values(each)]

        wait_until(lambda: server.values("up"), 30, "the first scrape")
        wait_until(lambda: len(without()) <= 1, 60, "a number for each panel")
        assert [each for each in without() if "dead_letters" not in each] == []  # none: all is well
        assert server.faults() == []
        assert server.values('ALERTS{alertstate="firing"}') == []
    local.succeed("build.yml", monitoring="false")


def test_a_backup_is_taken_and_restored_while_prices_come(
    live: LocalPlatform, tmp_path: Path
) -> None:
    file = tmp_path / "backup.sqlite3"
    assert live.succeed("backup.yml", "--check", to=file).code == 0
    assert not file.exists()
    backup = live.succeed("backup.yml", to=file)
    assert str(file) in backup.output
    assert live.run("backup.yml", to=file).code != 0, "it was overwritten"
    with closing(sqlite3.connect(file)) as taken:
        saved, newest = taken.execute("SELECT count(*), max(sequence) FROM ticks").fetchone()
    before = live.query("SELECT count(*), max(sequence) FROM ticks")
    assert before[1] > newest
    live.succeed("restore.yml", "--check", **{"from": file})
    assert live.query("SELECT max(sequence) FROM ticks")[0] >= before[1]
    restored = live.succeed("restore.yml", **{"from": file})
    assert re.search("replaced[-_]20", restored.output)
    live.wait_for_new_prediction(60)
    # What came after the backup was read again from Kafka: every second is there, once.
    count, first, last = live.query(
        f"SELECT count(*), min(sequence), max(sequence) FROM ticks WHERE sequence >= {newest}"
    )
    assert count == (last - first) / 1_000_000 + 1
    assert live.query("SELECT count(*) FROM ticks")[0] >= max(saved, before[0])


def test_what_is_no_backup_changes_nothing(live: LocalPlatform, tmp_path: Path) -> None:
    pids = live.process_names().keys()
    (tmp_path / "junk").write_text("junk" * 1_000)
    refused = live.run("restore.yml", **{"from": tmp_path / "junk"})
    assert refused.code != 0
    assert "is no backup of a store" in refused.output
    assert refused.changed == 0
    assert live.process_names().keys() == pids


def test_files_of_the_earlier_system_come_in_once_and_go_out_again(
    live: LocalPlatform, tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    header, line = "timestamp,open,high,low,close,volume", "2020-01-01T00:00:00,1,2,1,2,9"
    (tmp_path / "raw" / "instant_data.csv").write_text(f"{header}\n{line}\n")
    assert live.succeed("import.yml", **{"from": tmp_path}).changed == 1
    assert live.succeed("import.yml", **{"from": tmp_path}).changed == 0
    file = tmp_path / "bars.parquet"
    live.succeed("export.yml", table="bars_1m", until="2020-02-01", format="parquet", to=file)
    bar = pq.read_table(file).to_pylist()[0]
    assert (bar["feed"], bar["open"], bar["close"]) == ("live", 1.0, 2.0)


def test_models_come_and_go_without_a_restart(live: LocalPlatform) -> None:
    own = "20200101T000000Z-0a0a0a"
    assert live.succeed("models.yml").changed == 0
    before = live.untouched()
    live.put_model(own)
    for _ in range(2):
        listed = " ".join(live.succeed("models.yml").output.split())
        checked = live.succeed("models.yml", "--check", action="rollback")
        if live.model_in_service() <= own:
            break
        # A training run has ended meanwhile; the next is a quarter of an hour away.
        live.succeed("models.yml", action="rollback", version=own)
    assert f"{own} in service" in listed
    assert checked.changed == 1
    assert live.model_in_service() == own
    back = live.succeed("models.yml", action="rollback")
    if f"Gone from {own}" not in back.output:
        back = live.succeed("models.yml", action="rollback")
    assert f"Gone from {own} to no model" in back.output
    assert before.items() <= live.untouched().items(), "a process was replaced"
    newest = "SELECT model_version FROM predictions ORDER BY issue_time DESC LIMIT 1"
    live.wait_for_new_prediction(60)
    assert live.query(newest) != (own,)
    unknown = live.run("models.yml", action="rollback", version="20190101T000000Z-0b0b0b")
    assert unknown.code != 0
    assert f"{own}, none" in unknown.output


def test_updating_unchanged_source_restarts_nothing(live: LocalPlatform) -> None:
    before = live.untouched()
    update = live.succeed("update.yml", service="web-app")
    assert update.changed == 0, update.output
    assert live.untouched() == before


def touch_source(live: LocalPlatform, package: str, text: str) -> None:
    """Append ``text`` to the package's entry, as a developer's change."""
    path = live.checkout / "services" / package / "__main__.py"
    path.write_text(path.read_text() + text)


def test_a_new_web_app_is_rolled_in_without_a_failed_request_or_a_missed_event(
    live: LocalPlatform,
) -> None:
    others = live.untouched(besides="web-app")
    touch_source(live, "web_app", "\n# changed\n")
    stream = f"{live.web}/api/v1/stream?symbol=BTC-USD"
    with StreamClients(stream) as clients, RequestLoad(f"{live.web}/api/health") as load:
        time.sleep(3)
        update = live.succeed("update.yml", service="web-app")
        time.sleep(4)
    assert update.changed > 0
    assert load.failures == []
    assert load.answered > 100
    assert clients.resets == []
    assert clients.reconnects >= 20, "the old version was never left"
    for seen in clients.sequences:
        assert seen == list(range(seen[0], seen[-1] + 1, 1_000_000))
    assert live.untouched(besides="web-app") == others


@pytest.mark.parametrize("service", ["data-collector", "bitcoin-forecast-app"])
def test_a_new_worker_takes_over_without_a_gap(live: LocalPlatform, service: str) -> None:
    start = live.last_sequence()
    touch_source(live, service.replace("-", "_"), "\n# changed\n")
    live.succeed("update.yml", service=service)
    end = live.last_sequence()
    wait_until(lambda: live.last_predicted() > end + 2_000_000, 20, "two more seconds")
    (count, first, last) = live.query(
        f"SELECT count(*), min(sequence), max(sequence) FROM ticks WHERE sequence >= {start}"
    )
    (longest,) = live.query(
        "SELECT max(gap) FROM (SELECT sequence - lag(sequence) OVER (ORDER BY sequence) AS gap "
        f"FROM ticks WHERE sequence >= {start})"
    )
    assert longest <= 2_000_000, f"{count} ticks from {first} to {last}"
    (unpredicted,) = live.query(
        f"SELECT count(*) FROM ticks WHERE sequence BETWEEN {start} AND {end} AND sequence NOT IN "
        "(SELECT sequence FROM predictions)"
    )
    assert unpredicted == 0
    # A second that both collected at the handover is removed by its key: stored and forecast once.
    (repeated,) = live.query(
        f"SELECT count(*) - count(DISTINCT sequence) FROM ticks WHERE sequence >= {start}"
    )
    assert repeated == 0
    # Each horizon once. The first is absent where a busy machine came to a tick a second late:
    # what is over is not forecast.
    (wrong,) = live.query(
        "SELECT count(*) FROM (SELECT count(*) AS n, "
        "max(issue_time - target_time + 1000000 * horizon_s) AS late_us FROM predictions "
        f"WHERE sequence BETWEEN {start} AND {end} GROUP BY sequence) AS each_second "
        f"WHERE n <> {len(HORIZONS_S)} - CASE WHEN late_us < 1000000 THEN 0 ELSE 1 END"
    )
    assert wrong == 0


def test_a_broken_version_is_refused_and_the_old_one_goes_on(live: LocalPlatform) -> None:
    before = live.untouched()
    path = live.checkout / "services" / "web_app" / "__main__.py"
    good = path.read_text()
    path.write_text("raise SystemExit('broken on purpose')\n")
    try:
        with RequestLoad(f"{live.web}/api/health") as load:
            update = live.run("update.yml", service="web-app")
    finally:
        path.write_text(good)
    assert update.code != 0
    assert "broken on purpose" in update.output
    if isinstance(live, ClusterPlatform):
        require_taken_back(update)
    assert load.failures == []
    assert live.untouched() == before


def require_taken_back(update: Run) -> None:
    """Assert that a version that did not get ready was given up within a minute."""
    assert "was rolled back" in update.output
    assert "pod web-app-" in update.output
    (seconds,) = re.findall(r"Wait for the new version of web-app +([0-9.]+) s", update.output)
    assert float(seconds) < 60


def test_a_cluster_rolls_without_a_failed_request_inside_it(cluster: ClusterPlatform) -> None:
    touch_source(cluster, "web_app", "\n# changed again\n")
    with cluster.load_inside("http://web-app:5001/api/health", rate=20) as found:
        update = cluster.succeed("update.yml", service="web-app")
        time.sleep(4)
    assert update.changed > 0
    assert found["failures"] == []
    assert found["answered"] > 100


@pytest.mark.parametrize("way", ["never ready", "wrong tag"])
def test_a_cluster_takes_back_what_never_gets_ready(cluster: ClusterPlatform, way: str) -> None:
    before = cluster.untouched()
    path = cluster.checkout / "services" / "web_app" / "__main__.py"
    good = path.read_text()
    variables: dict[str, object] = {"service": "web-app"}
    if way == "never ready":
        path.write_text("import time\nprint('asleep on purpose', flush=True)\ntime.sleep(3600)\n")
    else:
        variables["service_images"] = {"web-app": "localhost/none:1"}
    try:
        with RequestLoad(f"{cluster.web}/api/health") as load:
            update = cluster.run("update.yml", **variables)
    finally:
        path.write_text(good)
    assert update.code != 0
    assert ("asleep on purpose" if way == "never ready" else "localhost/none:1") in update.output
    require_taken_back(update)
    assert load.failures == []
    assert cluster.untouched() == before


def test_tunnels_follow_replaced_pods_and_are_closed_and_opened(cluster: ClusterPlatform) -> None:
    def answers() -> bool:
        return httpx.get(f"{cluster.web}/api/health", timeout=2).status_code == httpx.codes.OK

    cluster.kill_pods("web-app")
    wait_until(lambda: cluster.ready("web-app") == 0, 30, "the end of all pods")
    wait_until(lambda: cluster.ready("web-app") >= 1, 120, "another pod")
    wait_until(answers, 5, "an answer on the same port")
    assert "open" in cluster.succeed("status.yml").output
    closed = cluster.succeed("tunnels.yml", state="stopped")
    assert closed.changed > 0
    with pytest.raises(httpx.ConnectError):
        answers()
    with socket.create_server(("127.0.0.1", cluster.ports["web_app_port"])):
        taken = cluster.run("tunnels.yml")
    assert taken.code != 0
    assert f"port {cluster.ports['web_app_port']}" in taken.output
    cluster.succeed("tunnels.yml")
    assert answers()


@pytest.mark.parametrize("mode", ["pause", "services", "stop"])
def test_what_is_shut_down_comes_back_whole(live: LocalPlatform, mode: str) -> None:
    if mode == "services":
        live.widen()
    before, processes, replicas = live.facts(), live.process_names(), live.workloads()
    live.succeed("shutdown.yml", mode=mode)
    live.require_shut(mode, processes)
    remembered = live.remembered()
    again = live.succeed("shutdown.yml", mode=mode)
    assert again.changed == 0, again.output
    assert live.remembered() == remembered
    assert mode != "services" or remembered.get("Deployment/web-app", 2) >= 2
    with live.most_replicas() as most:
        live.succeed("startup.yml")
    assert all(most[name] >= count for name, count in remembered.items()), (most, remembered)
    live.require_back(mode, processes, replicas)
    live.wait_for_new_prediction()
    live.require_kept(before)
    assert live.health()["model_version"]
    assert live.succeed("startup.yml").changed == 0


def test_any_killed_process_comes_back(local: LocalPlatform) -> None:
    for service in SERVICES:
        before = local.facts()
        for pid, name in local.process_names().items():
            if name == service:
                os.kill(pid, signal.SIGKILL)
        local.succeed("startup.yml")
        local.wait_for_new_prediction(60)
        local.require_kept(before)


def test_everything_killed_at_once_comes_back(local: LocalPlatform) -> None:
    before = local.facts()
    for pid in local.processes():
        os.kill(pid, signal.SIGKILL)
    local.succeed("startup.yml")
    local.wait_for_new_prediction(60)
    local.require_kept(before)


def test_a_killed_supervisor_leaves_no_strays(local: LocalPlatform) -> None:
    before = local.facts()
    for pid, process in local.processes().items():
        if "supervisord" in " ".join(process.cmdline()):
            os.kill(pid, signal.SIGKILL)
    local.succeed("startup.yml")
    local.wait_for_new_prediction(60)
    local.require_kept(before)
    names = sorted(local.process_names().values())
    assert names.count("data-collector") == 1
    assert names.count("kafka") == 1


def test_half_made_layers_are_made_again(local: LocalPlatform) -> None:
    local.succeed("shutdown.yml", mode="stop")
    layers = local.data_home / "bitcoin-prediction" / "layers"
    jar = next(layers.glob("jars/*/kafka_2.13-*.jar"))
    jar.write_bytes(jar.read_bytes()[:1000])
    venv = next(layers.glob("venvs/data-collector-*"))
    next(venv.glob("lib/python*/site-packages/msgspec/__init__.py")).unlink()
    next(venv.glob(".*complete*"), Path("none")).unlink(missing_ok=True)
    local.succeed("build.yml")
    local.wait_for_new_prediction(60)


def test_two_commands_at_once_do_not_meet(live: LocalPlatform) -> None:
    command = live.command("shutdown.yml", mode="services")
    with subprocess.Popen(
        command,
        cwd=live.checkout,
        env=live.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as first:
        lock = live.directory / "lock.json"
        wait_until(lock.exists, 15, "the first command's lock")
        second = live.run("startup.yml")
        first.communicate(timeout=300)
    assert second.code != 0
    assert f"pid {first.pid}" in second.output
    assert "shutdown.yml" in second.output
    assert first.returncode == 0
    live.succeed("startup.yml")
    live.wait_for_new_prediction()


def test_deleting_asks_and_then_removes_everything(live: LocalPlatform) -> None:
    refused = live.run("shutdown.yml", mode="delete")
    assert refused.code != 0
    assert "confirm=true" in refused.output
    live.wait_for_new_prediction()
    live.succeed("shutdown.yml", mode="delete", confirm="true")
    assert live.processes() == {}
    assert not live.directory.exists()
    gone = live.run("startup.yml")
    assert gone.code != 0
    assert "make build" in gone.output
