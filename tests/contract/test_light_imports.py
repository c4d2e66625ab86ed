"""What an import may bring with it, looked at in a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = {
    "numpy", "scipy", "torch", "onnxruntime", "fabio", "h5py", "PIL",
    "fastapi", "starlette", "uvicorn", "sqlalchemy", "celery", "redis",
    "scatterlens_models", "scatterlens_service", "scatterlens_worker",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stderr.split()}


@pytest.mark.parametrize(
    "statement",
    [
        "import scatterlens",
        "from scatterlens import Client; Client('http://127.0.0.1:1').close()",
        "import scatterlens.schemas",
        "import scatterlens.cli.annotate, scatterlens.cli.watch, scatterlens.cli.show",
    ],
)
def test_the_sdk_brings_nothing_that_serves_decodes_or_computes(statement):
    assert loaded_by(statement) & HEAVY == set()


def test_help_needs_not_even_the_client():
    code = "import sys; sys.argv[1:] = ['--help']\nfrom scatterlens.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass"
    assert loaded_by(code) & (HEAVY | {"httpx2", "pydantic", "watchdog"}) == set()


def test_the_check_sees_a_heavy_import():
    assert "numpy" in loaded_by("import numpy")
