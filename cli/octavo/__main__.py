"""`python -m octavo`."""

from __future__ import annotations

from octavo.commands._cli.main import main

main()
