"""The one error that reading a file raises for the file's own fault."""

from __future__ import annotations


class UnreadableFile(Exception):  # noqa: N818 - names what was found, as FileNotFoundError does
    """The file cannot be read; the text is the reason as a sentence for the owner."""


class FileOutOfReachError(UnreadableFile):
    """The system could not read the file: its disk fails or was unplugged, or access is denied.

    That says nothing about its content, and passes without a change of the file.
    """
