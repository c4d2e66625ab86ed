"""`python -m scatterlens_worker.trainer`: the same as `scatterlens trainer`."""

import typer

from scatterlens.cli import run
from scatterlens_worker.commands import trainer

if __name__ == "__main__":
    run(lambda: typer.run(trainer), "trainer")
