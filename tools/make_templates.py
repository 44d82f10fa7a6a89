"""Make the audio templates of the sample library; for maintainers, needs ffmpeg.

Synthesises four short pieces of music and encodes each in the eight formats that the sample
library mixes. Users need neither this script nor ffmpeg: the results are committed in
``backend_worker/library/sample/templates``.

Usage: ``python tools/make_templates.py``
"""

from __future__ import annotations

import array
import math
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass

import mutagen

RATE = 48000  # Hz, of the synthesised audio; the encoders get less
TEMPLATES = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    "backend_worker/library/sample/templates",
)

# What ffmpeg is told per format: suffix of the name → options. Low rates, one channel:
# a sample library of 50,000 tracks should fit on an SD card beside everything else.
ENCODINGS = {
    ".mp3": "-ar 22050 -c:a libmp3lame -b:a 32k -write_xing 1 -id3v2_version 0 -write_id3v1 0",
    ".flac": "-ar 8000 -sample_fmt s16 -c:a flac -compression_level 12",
    ".ogg": "-ar 16000 -c:a libvorbis -q:a -1",
    ".opus": "-c:a libopus -b:a 16k",
    "-aac.m4a": "-ar 16000 -c:a aac -b:a 24k -f ipod",
    "-alac.m4a": "-ar 8000 -t 0.8 -sample_fmt s16p -c:a alac -f ipod",
    ".wav": "-ar 8000 -t 0.6 -c:a pcm_s16le",
    ".aiff": "-ar 8000 -t 0.6 -c:a pcm_s16be",
}


@dataclass(frozen=True)
class Piece:
    """One piece of music: notes as MIDI numbers, each sounding for ``step`` seconds."""

    name: str
    seconds: float
    step: float
    chords: tuple[tuple[int, ...], ...]
    arpeggio: bool
    partials: tuple[float, ...]  # loudness of the 1st, 2nd, 3rd … harmonic
    decay: float  # how fast a note dies away, per second


PIECES = (
    Piece("tone", 1.2, 0.15, ((60, 64, 67, 72), (65, 69, 72, 77)), True, (1.0, 0.3), 4.0),
    Piece("calm", 1.6, 0.8, ((57, 64, 69), (53, 60, 69)), False, (1.0, 0.1), 1.2),
    Piece("drive", 1.0, 0.125, ((64, 67, 71, 76), (62, 66, 69, 74)), True, (1.0, 0.5, 0.3), 8.0),
    Piece("dark", 1.4, 0.35, ((45, 48, 52), (44, 47, 52)), False, (1.0, 0.4, 0.2), 2.5),
)


def synthesise(piece: Piece) -> array.array[int]:
    """Return the piece as signed 16-bit samples of one channel at :data:`RATE`."""
    total = int(piece.seconds * RATE)
    mix = [0.0] * total
    for index in range(math.ceil(piece.seconds / piece.step)):
        start = int(index * piece.step * RATE)
        chord = piece.chords[int(index * piece.step / piece.seconds * len(piece.chords))]
        notes = (chord[index % len(chord)],) if piece.arpeggio else chord
        for note in notes:
            _add_note(mix, start, piece, 440.0 * 2 ** ((note - 69) / 12))
    peak = max(map(abs, mix))
    return array.array("h", (round(value / peak * 20000) for value in mix))


def _add_note(mix: list[float], start: int, piece: Piece, frequency: float) -> None:
    length = min(int(piece.step * RATE), len(mix) - start)
    fade = RATE // 200  # 5 ms at both ends: no clicks
    for offset in range(length):
        time = offset / RATE
        envelope = math.exp(-piece.decay * time) * min(offset, length - offset, fade) / fade
        phase = 2 * math.pi * frequency * time
        mix[start + offset] += envelope * sum(
            loudness * math.sin(phase * (number + 1))
            for number, loudness in enumerate(piece.partials)
        )


def encode(source: str, target: str, options: str) -> None:
    """Encode a WAV file; the result holds neither tags nor padding.

    Raises:
        subprocess.CalledProcessError: ffmpeg refused; its words are on standard error.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        sys.exit("make_templates: ffmpeg is not installed")
    command = [ffmpeg, "-v", "error", "-y", "-i", source, "-ac", "1", "-map_metadata", "-1"]
    command += ["-fflags", "+bitexact", "-flags:a", "+bitexact", *options.split(), target]
    subprocess.run(command, check=True)
    _strip(target)


def _strip(path: str) -> None:
    audio = mutagen.File(path)
    if path.endswith((".flac", ".ogg", ".opus", ".m4a")):
        audio.delete()  # the encoder's name, which ffmpeg writes even when told not to
        if path.endswith((".flac", ".ogg", ".opus")):
            audio.save(padding=lambda _info: 0)


def main() -> None:
    """Write all templates anew."""
    os.makedirs(TEMPLATES, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for piece in PIECES:
            source = os.path.join(folder, piece.name + ".wav")
            with wave.open(source, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(synthesise(piece).tobytes())
            for suffix, options in ENCODINGS.items():
                target = os.path.join(TEMPLATES, piece.name + suffix)
                encode(source, target, options)
                sys.stdout.write(f"{os.path.getsize(target):6d} {os.path.basename(target)}\n")


if __name__ == "__main__":
    main()
