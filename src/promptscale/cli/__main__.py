"""`python -m promptscale.cli`."""

from promptscale.cli import app

app()
