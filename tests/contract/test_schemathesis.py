"""A served gateway does what its description says, however it is asked (schemathesis)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.browsing import serving
from support.gateway import picture

CONFIG = Path(__file__).with_name("schemathesis.toml")
TESTS = Path(__file__).parents[1]
EXAMPLES = os.environ.get("SCATTERLENS_TEST_EXAMPLES", "3")
"""Of fuzzing, for each operation; the systematic part is always whole (`make fuzz`: many)."""
PHASES = "coverage,fuzzing" if EXAMPLES == "3" else "coverage,fuzzing,stateful"


@pytest.mark.timeout(3600)
def test_the_service_does_what_its_description_says(tmp_path):
    with serving(tmp_path) as site:
        for seed in range(2):
            site.send(picture(seed), f"{seed}.npy", scan="7", frame_number=seed)
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"),
            *(f"{site.url}/api/v1/openapi.json", "--checks", "all", "--no-color"),
            *("--header", f"Authorization: Bearer {site.key}"),
            *("--phases", PHASES, "--max-examples", EXAMPLES),
            # The stream of events has no end; its tests read it as a client does.
            *("--exclude-path", "/api/v1/events", "--request-timeout", "60"),
            # One thread: hypothesis parses code, and Python 3.11 cannot in two threads at a time.
            *("--workers", "1"),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "SCHEMATHESIS_HOOKS": "support.schemathesis_hooks",
            "SCATTERLENS_TEST_KEY": site.key,
        }
        run = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )
        assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-3000:]
        assert "no tests were run" not in run.stdout.lower()
        assert "FAILURES" not in run.stdout
