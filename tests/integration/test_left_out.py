"""What a scan leaves out by its name can be seen."""

import subprocess
import sys

from backend_worker.library.sample import make_library


def test_status_names_what_the_newest_scan_left_out(library, worker, tmp_path):
    make_library(str(tmp_path / "music"), tracks=12)
    (tmp_path / "music" / "#recycle").mkdir()
    (tmp_path / "music" / "._Song.mp3").write_bytes(b"\0\5\x16\7")
    status = library.scan(tmp_path / "music")
    assert status.left_out == 3  # one of them is the sample's
    shown = subprocess.run(
        [sys.executable, "-m", "backend_worker", "status"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    told = " ".join(shown.split())
    assert "3 files and folders of other programs were left out:" in told
    assert "#recycle" in told
    assert "._Song.mp3" in told
