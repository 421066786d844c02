"""``python -m bitcoin_forecast_app``."""

import os

# Small matrices: a thread pool of the linear algebra only adds jitter.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from bitcoin_forecast_app.app import main
from common.lifecycle import run_service

if __name__ == "__main__":
    run_service(main)
