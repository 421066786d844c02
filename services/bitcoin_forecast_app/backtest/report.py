"""The report: a table for people, and one HTML page with calibration plots, without scripts."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

__all__ = ["html_report", "text_table"]

_COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "n": ("n", "d"),
    "zero_moves": ("zero", ".3f"),
    "mae": ("MAE", ".4g"),
    "mase": ("MASE", ".4f"),
    "crps_last_value": ("CRPS last", ".4g"),
    "crps_ewma_normal": ("EWMA-N", ".4g"),
    "crps_ewma_t4": ("EWMA-t4", ".4g"),
    "crps_combined": ("combined", ".4g"),
    "crps_ratio": ("ratio", ".4f"),
    "crps_ratio_worst": ("worst", ".4f"),
    "crps_ratio_of_sums": ("of sums", ".4f"),
    "coverage_80": ("cov80", ".3f"),
    "width_80": ("width80", ".4g"),
    "coverage_95": ("cov95", ".3f"),
    "width_95": ("width95", ".4g"),
    "r2_mean": ("R2", "+.4f"),
    "direction": ("dir", ".3f"),
}
_POOLED: Final = (
    *("n", "mase", "crps_ratio", "crps_ratio_worst", "crps_ratio_of_sums"),
    *("coverage_80", "coverage_95", "r2_mean", "direction"),
)
_ONLY_POOLED: Final = ("crps_ratio_worst", "crps_ratio_of_sums")
_STYLE: Final = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em;max-width:80em}"
    "table{border-collapse:collapse}td,th{padding:.2em .6em;text-align:right}"
    "th{border-bottom:1px solid #888}svg{margin:.4em 1em .4em 0}"
)
_W, _H = 180, 120


def _rows(horizons: Mapping[str, Any], *, pooled: bool) -> list[list[str]]:
    chosen = {
        name: column
        for name, column in _COLUMNS.items()
        if name in (_POOLED if pooled else set(_COLUMNS).difference(_ONLY_POOLED))
    }
    head = ["horizon", *(title for title, _ in chosen.values())]
    if not pooled:
        head += ["DM last", "DM t4"]
    rows = [head]
    for horizon, result in horizons.items():
        row = [f"{horizon} s", *(format(result[k], f) for k, (_, f) in chosen.items())]
        if not pooled:
            row += [_dm(result["dm_last_value"]), _dm(result["dm_ewma_t4"])]
        rows.append(row)
    return rows


def _dm(test: Mapping[str, float]) -> str:
    return f"{test['statistic']:+.2f} (p={test['p']:.3f})"


def text_table(title: str, horizons: Mapping[str, Any], *, pooled: bool = False) -> str:
    """Return an aligned table with its title."""
    rows = _rows(horizons, pooled=pooled)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [[c.rjust(w) for c, w in zip(row, widths, strict=True)] for row in rows]
    lines = ["  ".join(row) for row in padded]
    return "\n".join([title, *lines])


def html_report(document: Mapping[str, Any]) -> str:
    """Return the page for the JSON document that the backtest writes."""
    parts = [_section("Pooled", document["pooled"], pooled=True)]
    parts += [_section(name, d["horizons"], pooled=False) for name, d in document["data"].items()]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Backtest</title>"
        f"<style>{_STYLE}</style><h1>Backtest</h1>"
        "<p>CRPS by quantiles, in the quote currency; ratio: combined over EWMA Student-t(4). "
        "DM: Diebold-Mariano with Newey-West variance, below zero where the combined forecast is "
        "better. Bars: share of outcomes in each twentieth of the forecast distribution; the line "
        "is where a calibrated forecast has them.</p>" + "".join(parts)
    )


def _section(title: str, horizons: Mapping[str, Any], *, pooled: bool) -> str:
    head, *rows = _rows(horizons, pooled=pooled)
    table = _tag_row("th", head) + "".join(_tag_row("td", row) for row in rows)
    plots = "" if pooled else "".join(_plot(f"{h} s", r["pit"]) for h, r in horizons.items())
    return f"<h2>{escape(title)}</h2><table>{table}</table>{plots}"


def _tag_row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _plot(title: str, shares: list[float]) -> str:
    """Return a histogram of the probability integral transform; full height is three times even."""
    width = _W / len(shares)
    bars = "".join(
        f"<rect x='{i * width:.1f}' y='{_H - h:.1f}' width='{width - 1:.1f}' height='{h:.1f}'/>"
        for i, h in enumerate(min(_H, share * len(shares) / 3 * _H) for share in shares)
    )
    even = _H - _H / 3
    return (
        f"<svg role='img' aria-label='calibration at {title}' width='{_W}' height='{_H + 20}'>"
        f"<g fill='#4a7ab5'>{bars}</g>"
        f"<path d='M0 {even:.1f}H{_W}' stroke='#b33' fill='none'/>"
        f"<text x='0' y='{_H + 15}' font-size='12'>{title}</text></svg>"
    )
