"""The programs that are measured beside each other, each with a configuration of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rivals.beets import Beets
from benchmarks.rivals.loops import ParallelTagsLoop, ReadLoop, TagsLoop, WalkLoop
from benchmarks.rivals.minidlna import MiniDlna
from benchmarks.rivals.mopidy import MopidyLocal
from benchmarks.rivals.mpd import Mpd
from benchmarks.rivals.ours import Ours

if TYPE_CHECKING:
    from benchmarks.rivals.program import Program

# By the names that tables have; the loops are the yardsticks of the others.
PROGRAMS: dict[str, type[Program]] = {
    "backend-worker": Ours,
    "MPD": Mpd,
    "MiniDLNA": MiniDlna,
    "Mopidy-Local": MopidyLocal,
    "beets": Beets,
    "loop: walk and stat": WalkLoop,
    "loop: first 64 kB": ReadLoop,
    "loop: mutagen, 1 process": TagsLoop,
    "loop: mutagen, a process a core": ParallelTagsLoop,
}
