"""`python -m respbroker` is the command `respbroker`."""

from respbroker.cli import main

main()
