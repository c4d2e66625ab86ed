"""`python -m scatterlens` is the command line."""

from scatterlens.cli import main

main()
