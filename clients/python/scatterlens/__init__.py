"""Python SDK and command line of Scatterlens."""
