"""What is scanned: a view that may be changed while the library stays as it was."""

import os
from pathlib import Path

import mutagen

from benchmarks.libraries import audio_files, change_one_percent, made_up, view_of


def contents(folder):
    return {
        os.path.relpath(path, bytes(folder)): Path(os.fsdecode(path)).read_bytes()
        for path in audio_files(folder)
    }


def test_a_view_changes_and_its_library_does_not(tmp_path):
    library = made_up(tmp_path, 240)
    before = contents(library)
    with view_of(library, tmp_path / "view") as view:
        assert contents(view) == before
        changed = change_one_percent(view)
        after = contents(view)
        assert after.keys() == before.keys()
        differing = [path for path, content in after.items() if content != before[path]]
        assert len(differing) == changed == 2
        for path in differing:
            file = mutagen.File(os.fsdecode(os.path.join(bytes(view), path)), easy=True)
            assert file["title"] == ["Changed by the benchmark"]
    assert not view.exists()
    assert contents(library) == before
