"""The documented metrics are those that exist, and rules and dashboard use no others."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.metrics_list import SERVICES, metrics, table

_ROOT = Path(__file__).parents[2]
_FILES = _ROOT / "roles" / "monitoring" / "files"
_RULES: dict[str, Any] = yaml.safe_load((_FILES / "rules.yml").read_text())
_DASHBOARD: dict[str, Any] = json.loads((_FILES / "dashboard.json").read_text())
_NAME = re.compile(r"\b(?:data_collector|forecast|web|exchange_simulator|kafka_ui)_[a-z_0-9]+")
_RECORDED = re.compile(r"\binstance_name:[a-z_0-9]+:[a-z0-9]+")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool here (apt-get install prometheus)"
)


def rules() -> list[dict[str, Any]]:
    return [rule for group in _RULES["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in _DASHBOARD["panels"] for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown


def test_every_service_declares_metrics() -> None:
    assert {metric.service for metric in metrics()} == set(SERVICES)
    assert len({metric.name for metric in metrics()}) == len(metrics()) > 50


def test_the_documented_list_is_what_the_services_declare() -> None:
    document = (_ROOT / "docs" / "metrics.md").read_text()
    assert document.endswith(table()), "python -m tests.support.metrics_list prints it anew"


def test_rules_and_dashboard_use_series_that_exist() -> None:
    known = {name for metric in metrics() for name in metric.series}
    labels = {label for metric in metrics() for label in metric.labels}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expression in expressions():
        bare = _RECORDED.sub("", expression)
        assert set(_NAME.findall(bare)) - labels <= known, expression
        assert set(_RECORDED.findall(expression)) <= recorded, expression


def test_labels_that_are_asked_for_are_those_of_the_metric() -> None:
    by_series = {name: metric for metric in metrics() for name in metric.series}
    added = {"instance_name", "service", "le"}
    for expression in expressions():
        for name, matchers in re.findall(r"([a-z_0-9]+)\{([^}]*)\}", expression):
            asked = set(re.findall(r"([a-z_]+)\s*=", matchers))
            own = set(by_series[name].labels) if name in by_series else set()
            assert asked <= own | added, expression


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len({alert["alert"] for alert in alerts}) == len(alerts) > 10
    for alert in alerts:
        assert set(alert["annotations"]) == {"summary", "action"}
        assert alert["labels"]["severity"] in ("warning", "critical")


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    command = ["promtool", "check", "rules", str(_FILES / "rules.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def series(name: str, values: str) -> dict[str, str]:
    return {"series": name, "values": values}


def firing(alert: str, at: str, **labels: str) -> dict[str, Any]:
    rule = next(rule for rule in rules() if rule.get("alert") == alert)
    expected = {"exp_labels": {"severity": rule["labels"]["severity"], **labels}}
    return {"alertname": alert, "eval_time": at, "exp_alerts": [expected]}


def silent(alert: str, at: str) -> dict[str, Any]:
    return {"alertname": alert, "eval_time": at, "exp_alerts": []}


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    own = 'instance_name="demo"'
    plain: dict[str, Any] = {"groups": []}
    for group in _RULES["groups"]:  # without annotations, which promtool would want word for word
        bare = [{k: v for k, v in rule.items() if k != "annotations"} for rule in group["rules"]]
        plain["groups"].append({"name": group["name"], "rules": bare})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(plain))
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    # One slot of a service is always silent; the collector dies after a minute.
                    series(f'up{{{own}, service="web-app", instance="a"}}', "1x60"),
                    series(f'up{{{own}, service="web-app", instance="b"}}', "0x60"),
                    series(f'up{{{own}, service="data-collector", instance="a"}}', "1x12 0x48"),
                    series(f"data_collector_ticks_total{{{own}}}", "0+5x24 120x36"),
                    series(f"data_collector_spool_records{{{own}}}", "0x24 200x36"),
                    series(f"web_streams{{{own}}}", "0x24 480x36"),
                    series(f"web_max_streams{{{own}}}", "500x60"),
                ],
                "alert_rule_test": [
                    silent("BitcoinServiceDown", "1m"),
                    firing(
                        "BitcoinServiceDown", "4m", instance_name="demo", service="data-collector"
                    ),
                    silent("BitcoinNoTicks", "2m"),
                    firing("BitcoinNoTicks", "5m", instance_name="demo"),
                    silent("BitcoinSpoolGrows", "2m"),
                    firing("BitcoinSpoolGrows", "4m", instance_name="demo"),
                    silent("BitcoinStreamsNearlyFull", "2m"),
                    firing("BitcoinStreamsNearlyFull", "5m", instance_name="demo"),
                ],
            },
            {  # no exchange ever answered
                "interval": "5s",
                "input_series": [series(f"data_collector_ticks_total{{{own}}}", "0x60")],
                "alert_rule_test": [firing("BitcoinNoTicks", "2m", instance_name="demo")],
            },
        ],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    command = ["promtool", "test", "rules", str(tmp_path / "tests.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
