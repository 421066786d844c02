"""``python -m kafka_monitor``: serve until SIGTERM."""

from common.lifecycle import run_service
from kafka_monitor.server import main

run_service(main)
