"""`python -m bench.cli` is the command `bench`."""

from bench.cli.main import main

main()
