"""`python -m scatterlens_worker`: the same as `scatterlens worker`."""

import typer

from scatterlens_worker.commands import worker

if __name__ == "__main__":
    typer.run(worker)
