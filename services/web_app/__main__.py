"""``python -m web_app``: serve until SIGTERM."""

from common.lifecycle import run_service
from web_app.server import main

run_service(main)
