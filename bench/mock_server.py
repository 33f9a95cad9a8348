"""The mock server of the tests: `python bench/mock_server.py --ceiling` measures it."""

from __future__ import annotations

import root_path
from tests.support.mock_server import main

if __name__ == "__main__":
    main()
