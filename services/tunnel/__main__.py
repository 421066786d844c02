"""``python -m tunnel``: hold a port of this machine open and carry it to a Service's pods."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

from tunnel.access import Kubeconfig
from tunnel.cluster import Cluster
from tunnel.errors import TunnelError
from tunnel.listener import Listener
from tunnel.roster import Roster

_KUBECONFIG = os.path.expanduser("~/.kube/config")


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for; exits with a message when it cannot be."""
    parser = argparse.ArgumentParser(prog="tunnel", description=__doc__)
    environment = os.environ.get
    parser.add_argument(
        "--kubeconfig",
        default=environment("TUNNEL_KUBECONFIG") or environment("KUBECONFIG") or _KUBECONFIG,
    )
    parser.add_argument(
        "--context", default=environment("TUNNEL_CONTEXT", ""), help="empty takes the current one"
    )
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument("--port", type=int, required=True, help="port of this machine")
    return parser.parse_args(arguments)


async def run(asked: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT; raises `TunnelError` when the port cannot be had."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    roster = Roster()
    cluster = Cluster(Kubeconfig(asked.kubeconfig, asked.context), asked.namespace, asked.service)
    listener = Listener(asked.port, roster, cluster.open)
    await listener.start()
    watch = asyncio.create_task(cluster.watch(roster))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({watch, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await listener.stop()
    watch.cancel()
    stopped.cancel()
    for outcome in await asyncio.gather(watch, stopped, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def main() -> int:
    """Return the exit code."""
    asked = options(sys.argv[1:])
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format=f"%(asctime)s.%(msecs)03dZ %(levelname)s tunnel-{asked.service} %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    try:
        asyncio.run(run(asked))
    except TunnelError as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
