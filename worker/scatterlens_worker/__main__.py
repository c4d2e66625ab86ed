"""`python -m scatterlens_worker`: the same as `scatterlens worker`."""

import typer

from scatterlens.cli import run
from scatterlens_worker.commands import worker

if __name__ == "__main__":
    run(lambda: typer.run(worker), "worker")
