"""Every command and program of README and the how-to pages does what it says, before a service.

`make docs-test` runs all of them, and prints what was run and what was not; `make test` leaves the
slow ones out.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browsing import Site, serving
from support.pages import REPOSITORY, Block, blocks_of, pages

WHOLE = os.environ.get("SCATTERLENS_TEST_DOCS") == "whole"
LONGEST_SECONDS = 1500 if WHOLE else 100
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("home")) as site:
        yield site


@pytest.fixture
def place(tmp_path, service) -> Path:
    """A folder as a reader of a checkout has it: with the programs and the sample frames."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(BIN)
    for path in ("models", "docs"):
        (tmp_path / path).symlink_to(REPOSITORY / path)
    shutil.copytree(REPOSITORY / "clients/python/scatterlens/samples", tmp_path, dirs_exist_ok=True)
    return tmp_path


def environment(service: Site, place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "SCATTERLENS_HOME": str(service.home),
        "SCATTERLENS_URL": service.url,
        "SCATTERLENS_KEY": service.key,
        "KEY": service.key,
        "PYTHONPATH": str(REPOSITORY / "tests"),
        "MPLBACKEND": "Agg",
        "HOME": str(place),
        "COLUMNS": "120",
        "PYTHONWARNINGS": "default",
    }


class Python:
    """A session of Python: what a block defines is there in the next."""

    def __init__(self, variables: dict[str, str], place: Path) -> None:
        self._said = place / ".python"
        self._log = self._said.open("wb")
        program = (
            "import sys, traceback\n"
            "names = {'__name__': '__main__'}\n"
            "while line := sys.stdin.buffer.readline():\n"
            "    text = sys.stdin.buffer.read(int(line)).decode()\n"
            "    try:\n"
            "        exec(compile(text, 'the page', 'exec'), names)\n"
            "        said = 'fine'\n"
            "    except BaseException:\n"
            "        traceback.print_exc()\n"
            "        said = 'failed'\n"
            "    sys.__stdout__.write(said + '\\n')\n"
            "    sys.__stdout__.flush()\n"
        )
        program = "import sys\nsys.stdout = sys.stderr\n" + program
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=variables,
            cwd=place,
        )

    def run(self, text: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        sent = text.encode()
        self._process.stdin.write(f"{len(sent)}\n".encode() + sent)
        self._process.stdin.flush()
        ending = threading.Timer(LONGEST_SECONDS, self._process.kill)
        ending.start()
        said = self._process.stdout.readline()
        ending.cancel()
        assert said == b"fine\n", f"{text}\n{self._said.read_text()[-3000:]}"

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait(20)
        self._log.close()


def run_shell(text: str, variables: dict[str, str], place: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=variables,
        cwd=place,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{text}\n{said[-3000:]}"
    assert "Traceback" not in said, f"{text}\n{said[-3000:]}"


def run_until(text: str, awaited: str, variables: dict[str, str], place: Path) -> None:
    """Run what goes on for ever until it says what it should, then end it and all that it began."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**variables, "PYTHONUNBUFFERED": "1"},
        cwd=place,
        start_new_session=True,
    )
    ending = threading.Timer(LONGEST_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    ending.start()
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.decode(errors="replace"))
        if awaited in said[-1]:
            break
    else:
        pytest.fail(f"{text}\nended before it said {awaited!r}:\n{''.join(said)[-3000:]}")
    os.killpg(process.pid, signal.SIGTERM)
    process.stdout.read()
    process.stdout.close()
    process.wait(30)
    ending.cancel()


def run_block(block: Block, python: Python, variables: dict[str, str], place: Path) -> None:
    for command in block.marks.get("before", ()):
        run_shell(command, variables, place)
    if (name := block.one("file")) is not None:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(block.ready)
    elif block.kind == "python":
        python.run(block.ready)
    elif (awaited := block.one("until")) is not None:
        run_until(block.ready, awaited, variables, place)
    else:
        run_shell(block.ready, variables, place)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_a_page_tells_to_do_can_be_done(page, service, place, record_property):
    blocks = blocks_of(page)
    variables = environment(service, place)
    python = Python(variables, place)
    ran = 0
    try:
        for block in blocks:
            if block.not_run is not None or (block.is_slow and not WHOLE):
                reason = block.not_run or "slow: `make docs-test` runs it"
                print(f"{page.name}:{block.line} not run: {reason}")
                continue
            for command, reason in block.left_out:
                print(f"{page.name}:{block.line} not run: `{command}`: {reason}")
            run_block(block, python, variables, place)
            ran += 1
    finally:
        python.close()
    print(f"{page.name}: {ran} of {len(blocks)} blocks were run")


def test_a_block_that_is_not_run_has_a_reason_and_is_an_exception():
    blocks = [block for page in pages() for block in blocks_of(page)]
    left = [block for block in blocks if block.not_run is not None]
    assert all(len(block.not_run or "") > 10 for block in left)
    assert len(left) < len(blocks) / 4
    assert {block.kind for block in blocks if not block.one("file") and not block.not_run} <= {
        "",
        "python",
    }
