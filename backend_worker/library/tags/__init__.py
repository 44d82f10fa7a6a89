"""Read one audio file: tags, audio properties, embedded front cover, fingerprint."""

from backend_worker.library.tags.errors import FileOutOfReachError, UnreadableFile
from backend_worker.library.tags.kinds import AUDIO_EXTENSIONS
from backend_worker.library.tags.reader import read_track

__all__ = ["AUDIO_EXTENSIONS", "FileOutOfReachError", "UnreadableFile", "read_track"]
