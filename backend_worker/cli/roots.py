"""``forget``: take a folder out of the library."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError
from backend_worker.library.paths import shown
from backend_worker.library.roots import normalise
from backend_worker.storage import roots, scans

if TYPE_CHECKING:
    import argparse


def forget(args: argparse.Namespace) -> Exit:
    """Show what would go with a folder; with ``--yes`` let it go. No file is touched."""
    root = normalise(os.fsencode(os.path.expanduser(args.root)))
    known = roots.known()
    if root not in known:
        names = ", ".join(map(shown, known)) or "none"
        raise UserError(
            f"{shown(root)} is no folder of the library; those are: {names}", Exit.NOT_FOUND
        )
    counts = roots.what_would_go(root)
    if args.yes:
        try:
            roots.forget(root)
        except scans.ScanRunningError as error:
            raise UserError(str(error), Exit.BUSY) from error
    if args.json:
        output.print_json({"root": shown(root), "forgotten": args.yes, **counts})
        return Exit.OK
    went = "went" if args.yes else "would go"
    output.print_facts(f"{went} with {shown(root)}", counts)
    if not args.yes:
        output.print_line("nothing was changed; add --yes to do it. No file on the disk is touched")
    return Exit.OK
