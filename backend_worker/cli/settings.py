"""``config``: the settings and where each comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backend_worker.cli import output
from backend_worker.cli.errors import Exit
from backend_worker.config import effective_settings

if TYPE_CHECKING:
    import argparse


def config(args: argparse.Namespace) -> Exit:
    """Print every setting; passwords are hidden."""
    settings = effective_settings(os.environ)
    if args.json:
        output.print_json(
            [
                {
                    "name": setting.name,
                    "variable": setting.variable,
                    "value": setting.value,
                    "source": setting.source,
                    "doc": setting.doc,
                }
                for setting in settings
            ]
        )
    else:
        output.print_table(
            "",
            ["variable", "value", "from", "meaning"],
            [[s.variable, str(s.value), s.source, s.doc] for s in settings],
        )
    return Exit.OK
