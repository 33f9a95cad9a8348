"""`python -m octavo`."""

from octavo.commands.main import main

main()
