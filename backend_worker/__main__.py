"""``python -m backend_worker``: the command line."""

import sys

from backend_worker.cli import main

sys.exit(main())
