"""A real Kafka broker for tests and for `make kafka`: KRaft, one node, on loopback, in a folder of its own.

The jars are fetched once by Maven into `.cache/kafka/<version>` of the checkout (`$XDG_CACHE_HOME/bellwether/kafka`
when that is set); the version is pinned in `tests/kafka/pom.xml`.

    python -m tests.broker [--port N]      prints the bootstrap address and serves until Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
POM = ROOT / "tests" / "kafka" / "pom.xml"
USER, PASSWORD = "analyst", "keep-this-secret"
CLUSTER_ID = "YmVsbHdldGhlci10ZXN0cw"
JAVA_OPTIONS = (
    "-Xms64m",
    "-Xmx400m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a test's broker lives for seconds: the optimising compiler would only cost time
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
START_SECONDS = 60.0


class BrokerUnavailable(Exception):
    """No broker can be run on this machine; the message is one line that says what is missing."""


def version() -> str:
    """The Kafka release that `tests/kafka/pom.xml` pins."""
    found = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)</version>", POM.read_text())
    assert found, f"{POM} pins no Kafka release"
    return found[1]


def jars() -> Path:
    """The folder with the broker's jars, fetched when it is not there yet.

    Raises:
        BrokerUnavailable: there is no Java or no Maven, or Maven Central cannot be reached.
    """
    if not shutil.which("java"):
        raise BrokerUnavailable("no java on the PATH (Debian: apt-get install openjdk-17-jre-headless)")
    cache = Path(os.environ["XDG_CACHE_HOME"]) / "bellwether" if os.environ.get("XDG_CACHE_HOME") else ROOT / ".cache"
    folder = cache / "kafka" / version()
    if folder.is_dir():
        return folder
    if not shutil.which("mvn"):
        raise BrokerUnavailable("no mvn on the PATH (Debian: apt-get install maven)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / "lock"):
        if not folder.is_dir():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    """Fetch beside and rename, so that a fetch cut off half-way leaves nothing that looks whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as partial:
        target = Path(partial) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            raise BrokerUnavailable("Maven did not fetch Kafka within 300 s") from None
        if done.returncode or not any(target.glob("kafka_*.jar")):
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line] or [
                "no reason given"
            ]
            raise BrokerUnavailable(f"Maven could not fetch Kafka: {lines[0][:300]}")
        target.rename(folder)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """A loopback port nobody listens on at this moment.

    It lies below the range from which the system gives out ports to clients: while a killed broker is down, a client
    that keeps trying to reach it could otherwise be given that very port, and the broker could not come back.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


class Broker:
    """One broker; its port and its data outlive `kill()` and `stop()` until `remove()`.

    Args:
        port: where to listen; any free one by default.
        keystore: PKCS#12 file with the broker's key; then it also listens at `secure_bootstrap`, with TLS and the
            login USER and PASSWORD. The keystore has the same password.
    """

    def __init__(self, port: int | None = None, keystore: Path | None = None) -> None:
        self._classpath = f"{jars()}/*"
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._controller = f"127.0.0.1:{free_port()}"
        self.secure_bootstrap = f"127.0.0.1:{free_port()}"
        self.folder = Path(tempfile.mkdtemp(prefix="bellwether-kafka-"))
        self.log = self.folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._configuration = self.folder / "server.properties"
        properties = self._properties() | (self._security(keystore) if keystore else {})
        self._configuration.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._configuration))

    def _properties(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            # A killed broker may come back only once the controller has given up the one before it.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "message.max.bytes": str(8 * 1024 * 1024),
            "offsets.topic.num.partitions": "2",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "2",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
        }

    def _security(self, keystore: Path) -> dict[str, str]:
        secure = f"SASL_SSL://{self.secure_bootstrap}"
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return {
            "listeners": f"PLAINTEXT://{self.bootstrap},{secure},CONTROLLER://{self._controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap},{secure}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{module} required user_{USER}="{PASSWORD}";',
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(keystore),
            "ssl.keystore.password": PASSWORD,
        }

    def _java(self, *arguments: str) -> None:
        command = ["java", *JAVA_OPTIONS, "-cp", self._classpath, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
        if done.returncode:
            raise BrokerUnavailable(f"{arguments[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")

    def start(self) -> Broker:
        """Start and wait until clients are served.

        Raises:
            BrokerUnavailable: it ended or did not serve in time; the end of its log is in the message.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["java", *JAVA_OPTIONS, "-cp", self._classpath, "kafka.Kafka", str(self._configuration)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for whoever runs us; we stop the broker in order
                preexec_fn=_die_with_parent if threading.current_thread() is threading.main_thread() else None,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerUnavailable(f"the broker did not come up: {self.log.read_text()[-500:]}")
            time.sleep(0.1)
        return self

    def _serves(self) -> bool:
        """The listener opens only once the broker takes requests."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, as if the machine had lost power."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: an orderly shutdown, which takes a second or two."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start again on the same port with the same data; a broker that still runs is killed first."""
        self.kill()
        self.start()

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(by)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Broker:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Linux: a broker whose test run was killed goes with it (PR_SET_PDEATHSIG)."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGKILL)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.broker", description="Run a Kafka broker on loopback.")
    parser.add_argument("--port", type=int, default=None, help="port to listen on; any free one by default")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        with Broker(parser.parse_args().port) as broker:
            print(f"export BELLWETHER_KAFKA_BOOTSTRAP={broker.bootstrap}", flush=True)
            while broker.running and not over.wait(0.5):
                pass
            if not over.is_set():
                sys.exit(f"the broker ended by itself: {broker.log.read_text()[-500:]}")
    except BrokerUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
