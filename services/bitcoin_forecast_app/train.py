"""``python -m bitcoin_forecast_app.train``: one training run on what is stored, then an end.

Reads DATABASE_URL, MODEL_DIR and FEED. Prints one JSON line, the manifest. Exit codes: 0 a version
was written (promoted or refused), 3 not enough data, 4 another run is under way, 2 wrong settings.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from pydantic import Field

from bitcoin_forecast_app.dataset import concatenate, make_dataset
from bitcoin_forecast_app.errors import NotEnoughDataError, TrainingUnderWayError
from bitcoin_forecast_app.evaluation import crps_ratio
from bitcoin_forecast_app.history import list_series, read_ticks
from bitcoin_forecast_app.model import NO_MODEL, Model
from bitcoin_forecast_app.observation import Observation
from bitcoin_forecast_app.quiet import quietly
from bitcoin_forecast_app.registry import Registry, code_hash
from bitcoin_forecast_app.start import prepare
from common.clock import Clock, SystemClock, from_micros
from common.lifecycle import run_service
from common.settings import ServiceSettings, load_settings
from common.store import make_engine

__all__ = ["BUSY", "NOT_ENOUGH", "WITH_PARENT", "TrainSettings", "main", "train_model"]

NOT_ENOUGH: Final = 3
BUSY: Final = 4
WITH_PARENT: Final = "--with-parent"  # end when standard input does
_NICE: Final = 19
_ROWS: Final = 100_000  # of all series together: a day of one
_HELD_OUT: Final = 0.2  # newest share of each series, never trained on
_MOST_HELD_OUT: Final = 1_800
_WARM: Final = 600
_CHECK: Final = 0.2  # newest share of what is left, where training stops
_MARGIN: Final = 0.001  # of the CRPS ratio, by which a model must beat what is in service
_SEED: Final = 1


class TrainSettings(ServiceSettings):
    """What a training run is told."""

    service_name: str = "bitcoin-forecast-train"
    database_url: str
    model_dir: Path
    train_min_ticks: int = Field(600, ge=300)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once at the lowest priority; with `WITH_PARENT`, end when the parent does."""
    settings = load_settings(TrainSettings)
    os.nice(_NICE)
    if hasattr(os, "sched_setscheduler"):  # never wakes up into the service's way
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if WITH_PARENT in (sys.argv[1:] if arguments is None else arguments):
        threading.Thread(target=_end_with_parent, daemon=True).start()
    registry = Registry(settings.model_dir, settings.feed)
    try:
        with registry.training():
            manifest = run(settings, registry, SystemClock())
    except (NotEnoughDataError, TrainingUnderWayError) as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        return NOT_ENOUGH if isinstance(error, NotEnoughDataError) else BUSY
    sys.stdout.write(json.dumps(manifest) + "\n")
    return 0


def _end_with_parent() -> None:
    """Wait for the end of the pipe that the parent holds; it closes however the parent dies."""
    while os.read(sys.stdin.fileno(), 1):  # a buffer's lock, held here, would abort our own end
        pass
    os._exit(1)


def run(settings: TrainSettings, registry: Registry, clock: Clock) -> dict[str, Any]:
    """Train, judge on the newest held-out stretch, write the version, switch if it won."""
    began = clock.monotonic()
    parts = [split(series) for series in _load(settings)]
    model = train_model([part[0] for part in parts], _version(clock), _SEED)
    current = registry.load_current()
    candidates = {"candidate": model, "in_service": current, "none": None}
    scores = {name: _score(candidate, parts) for name, candidate in candidates.items()}
    promoted, reason = judge(scores, has_current=current is not None)
    times = [observation.time_us for part in parts for observation in part[0]]
    manifest: dict[str, Any] = {
        "version": model.version,
        "trained_at": clock.now().isoformat(),
        "feed": settings.feed,
        "rows": len(times),
        "window": [from_micros(min(times)).isoformat(), from_micros(max(times)).isoformat()],
        "seed": _SEED,
        "code": code_hash(),
        "replaces": current.version if current else NO_MODEL,
        "scores": scores,
        "promoted": promoted == "candidate",
        "reason": reason,
        "seconds": round(clock.monotonic() - began, 1),
    }
    registry.save(model, manifest)
    if promoted == "candidate":
        registry.switch(model.version)
    elif promoted == "none" and current is not None:
        registry.switch("")
    return manifest


def judge(scores: dict[str, dict[str, Any]], *, has_current: bool) -> tuple[str, str]:
    """Return which of the scored goes into service, and why in one sentence."""
    ratio = {name: float(score["mean"]) for name, score in scores.items()}
    rival = "in_service" if has_current else "none"
    facts = (
        f"CRPS ratio to the baseline on the held-out window: candidate {ratio['candidate']:.4f}, "
        f"in service {ratio['in_service']:.4f}, without a model {ratio['none']:.4f}"
    )
    if ratio["candidate"] < min(ratio[rival], ratio["none"]) - _MARGIN:
        return "candidate", f"promoted: {facts}"
    if has_current and ratio["in_service"] > ratio["none"] + _MARGIN:
        return "none", f"refused, and the one in service is withdrawn: {facts}"
    return rival, f"refused: {facts}"


def _load(settings: TrainSettings) -> list[list[Observation]]:
    engine = make_engine(settings.database_url, read_only=True)
    with engine.connect() as connection:
        keys = [key for key in list_series(connection) if key.feed == settings.feed]
        newest = _ROWS // max(1, len(keys))
        found = [[o for _, o in read_ticks(connection, key, -1, newest)] for key in keys]
    engine.dispose()
    enough = [_in_order(series) for series in found if len(series) >= settings.train_min_ticks]
    if not enough:
        longest = max(map(len, found), default=0)
        raise NotEnoughDataError(
            f"{longest} ticks stored of feed {settings.feed}, {settings.train_min_ticks} needed"
        )
    return enough


def _in_order(series: Sequence[Observation]) -> list[Observation]:
    kept = list(series[:1])
    kept.extend(b for a, b in pairwise(series) if b.time_us > a.time_us)
    return kept


Parts = tuple[Sequence[Observation], Sequence[Observation], Sequence[Observation]]


def split(series: Sequence[Observation]) -> Parts:
    """Return (to train on, to warm up with, held out); the last two follow one another."""
    cut = len(series) - min(_MOST_HELD_OUT, int(len(series) * _HELD_OUT))
    return series[:cut], series[max(0, cut - _WARM) : cut], series[cut:]


def _score(model: Model | None, parts: Sequence[Parts]) -> dict[str, Any]:
    scores = [crps_ratio(model, warm, held_out) for _, warm, held_out in parts]
    horizons = sorted({h for score in scores for h in score["by_horizon"]}, key=int)
    by_horizon = {
        h: float(np.mean([s["by_horizon"][h] for s in scores if h in s["by_horizon"]]))
        for h in horizons
    }
    return {"mean": float(np.mean(list(by_horizon.values()))), "by_horizon": by_horizon}


def train_model(series: Sequence[Sequence[Observation]], version: str, seed: int) -> Model:
    """Return a model fitted to ``series``: the network, and where the online learners begin."""
    with quietly():  # TensorFlow takes seconds, and tells of graphics cards that are not there
        from bitcoin_forecast_app.learning import fit, use_one_core

    use_one_core()
    parts = [make_dataset(observations) for observations in series]
    cuts = [int(len(part) * (1 - _CHECK)) for part in parts]
    train = [part.part(slice(None, cut)) for part, cut in zip(parts, cuts, strict=True)]
    check = [part.part(slice(cut, None)) for part, cut in zip(parts, cuts, strict=True)]
    network = fit(concatenate(train), concatenate(check), seed)
    return Model(version, network, prepare(concatenate(parts)))


def _version(clock: Clock) -> str:
    return f"{clock.now():%Y%m%dT%H%M%S}Z-{code_hash()[:6]}"


if __name__ == "__main__":
    run_service(main)
