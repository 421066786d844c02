"""``python -m bitcoin_forecast_app.backtest --data DIR_OR_FILE``: prints a table for each data set.

Exit codes: 0 done, 1 the data cannot be used, 2 wrong arguments.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec

from bitcoin_forecast_app.backtest.prequential import Scored, score_recording
from bitcoin_forecast_app.backtest.recordings import Recording, find_recordings, read_recording
from bitcoin_forecast_app.backtest.report import html_report, text_table
from bitcoin_forecast_app.backtest.summary import pool, summarise
from bitcoin_forecast_app.errors import RecordingError
from common.wire import HORIZONS_S

_RETRAIN_S: Final = 6 * 3_600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says."""
    options = _parse(arguments)
    try:
        recordings = _read(find_recordings(options.data))
    except RecordingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    document: dict[str, Any] = {"horizons": options.horizons, "data": {}, "pooled": {}}
    scored: list[tuple[Recording, Scored]] = []
    for recording in recordings:
        result = _run(recording, recordings, options)
        scored.append((recording, result))
        entry = _entry(recording, result)
        document["data"][recording.name] = entry
        sys.stdout.write(text_table(f"\n{recording.name}", entry["horizons"]) + "\n")
        sys.stdout.flush()
    document["pooled"] = _pooled(document, scored, options.horizons)
    sys.stdout.write(text_table("\npooled", document["pooled"], pooled=True) + "\n")
    if options.json:
        content = msgspec.json.format(msgspec.json.encode(document), indent=1)
        options.json.write_bytes(content + b"\n")
    if options.report:
        options.report.write_text(html_report(document))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bitcoin_forecast_app.backtest",
        description="Evaluate the live forecaster on recordings, one forecast each second.",
    )
    parser.add_argument("--data", type=Path, required=True, help="a recording or a directory")
    parser.add_argument(
        "--horizons",
        type=int,
        nargs="+",
        choices=HORIZONS_S,
        default=list(HORIZONS_S),
        help="seconds (all)",
    )
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--report", type=Path, help="write an HTML page there")
    parser.add_argument(
        "--retrain", type=float, default=_RETRAIN_S, help="seconds of data between trainings"
    )
    parser.add_argument(
        "--no-train", action="store_true", help="without TensorFlow: the online experts alone"
    )
    return parser.parse_args(arguments)


def _read(paths: Sequence[Path]) -> list[Recording]:
    """Return the recordings; of several files those that are none are named and left out.

    Raises `RecordingError` where none is left.
    """
    found, faults = [], []
    for path in paths:
        try:
            found.append(read_recording(path))
        except RecordingError as error:
            faults.append(str(error))
    if not found:
        raise RecordingError("\n".join(faults))
    for fault in faults:
        sys.stderr.write(f"left out: {fault}\n")
    return found


def _run(
    recording: Recording, recordings: Sequence[Recording], options: argparse.Namespace
) -> Scored:
    others = [r for r in recordings if r is not recording and r.group == recording.group]
    return score_recording(
        recording, others, options.horizons, options.retrain, train=not options.no_train
    )


def _entry(recording: Recording, scored: Scored) -> dict[str, Any]:
    return {
        "step_s": recording.step_s,
        "seconds": len(recording.observations) * recording.step_s,
        "unscored": scored.unscored,
        "horizons": {
            str(horizon): summarise(columns, horizon, recording.step_s)
            for horizon, columns in scored.columns.items()
        },
    }


def _pooled(
    document: dict[str, Any],
    scored: Sequence[tuple[Recording, Scored]],
    horizons: Sequence[int],
) -> dict[str, Any]:
    found = {}
    for horizon in horizons:
        with_it = [(r, s) for r, s in scored if horizon in s.columns]
        if with_it:
            results = [document["data"][r.name]["horizons"][str(horizon)] for r, _ in with_it]
            found[str(horizon)] = pool(results, [s.columns[horizon] for _, s in with_it])
    return found


if __name__ == "__main__":
    sys.exit(main())
