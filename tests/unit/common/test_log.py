import subprocess
import sys

PROGRAM = """
import logging
from common.log import configure_logging, get_logger
configure_logging("demo")
get_logger("x").info("Saved data to kafka", close="64000.10", symbol="BTC-USD")
logging.getLogger("library").warning("told %s", "so")
try:
    1 / 0
except ZeroDivisionError:
    get_logger("x").exception("broke")
get_logger("x").debug("hidden")
get_logger("x").warning("refused", error="by the host\\n\\tIs it there?")
"""


def test_lines_have_one_format_for_us_and_for_libraries() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "services"},
    )
    lines = result.stdout.splitlines()
    assert lines[0].endswith("Z INFO demo Saved data to kafka close=64000.10 symbol=BTC-USD")
    assert lines[1].endswith("Z WARNING demo told so")
    assert lines[2].endswith("Z ERROR demo broke")
    assert lines[-2] == "ZeroDivisionError: division by zero"
    assert lines[-1].endswith("Z WARNING demo refused error=by the host \tIs it there?")
    assert "hidden" not in result.stdout
