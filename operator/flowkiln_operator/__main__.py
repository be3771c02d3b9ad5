"""Run the operator by `python -m flowkiln_operator`."""

from __future__ import annotations

import sys

from flowkiln_operator.controller.main import main

if __name__ == "__main__":
    sys.exit(main())
