"""`python -m bench.gate`."""

import sys

from bench.gate.gate import start

sys.exit(start())
