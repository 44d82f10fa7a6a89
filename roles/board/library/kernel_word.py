#!/usr/bin/python
"""Ansible module: add one word to the kernel's command line, on a boot partition that is FAT."""

from __future__ import annotations

import contextlib
import os
import re

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: kernel_word
short_description: Adds a word to the kernel's command line on a FAT boot partition
description:
  - FAT knows no owners, no modes, no links and no colons in names, and nothing there is put back
    after a power cut. So a new file is written beside the old one, brought to the disk, and
    takes its name; no attribute is set.
  - Before that the old line is kept beside it as C(cmdline.bak), which a card reader shows. A copy
    that is there already and holds another line stays; the new one is called C(cmdline.ba2), and
    so on.
options:
  path:
    description: File with the command line, which is one line.
    type: path
    required: true
  word:
    description: What is added at the end of the line.
    type: str
    required: true
  present:
    description: Regular expression; where it is found in the file nothing is changed.
    type: str
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Switch the memory controller on
  kernel_word:
    path: /boot/firmware/cmdline.txt
    word: cgroup_enable=memory
    present: (?<!\S)cgroup_enable=memory(?!\S)
"""

RETURN = r"""
copy:
  description: Path of the file with the line as it was; empty where nothing was changed.
  type: str
  returned: success
"""

_NAMES = 9  # copies of different lines; an owner who has more does something else


class NoRoomError(Exception):
    """All names for a file beside the command line are taken."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "word": {"type": "str", "required": True},
            "present": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        before = _read(path)
        after = added(before, module.params["word"], module.params["present"])
        copy = ""
        if after != before and not module.check_mode:
            copy = keep(path, before)
            replace(path, after)
    except (OSError, NoRoomError) as error:
        module.fail_json(
            msg=f"{path} could not be changed, and is as it was: {error}. Free some space on the "
            "partition or make it writable (sudo mount -o remount,rw), then run this again."
        )
    module.exit_json(
        changed=after != before,
        copy=copy,
        diff={"before": _text(before), "after": _text(after), "before_header": path},
    )


def added(line: bytes, word: str, present: str) -> bytes:
    """Return the line with the word at its end, or unchanged where ``present`` matches."""
    if re.search(present, _text(line)):
        return line
    return line.rstrip() + b" " + word.encode() + b"\n"


def keep(path: str, line: bytes) -> str:
    """Keep the line in a file beside ``path``; return that file's path.

    No copy is overwritten: it may be the owner's, or of a line that started the board.
    """
    for copy in _beside(path, "bak"):
        if not os.path.exists(copy):
            replace(copy, line)
            return copy
        if _read(copy) == line:
            return copy
    raise NoRoomError(f"there are {_NAMES} copies of it already, such as {copy}: remove some")


def replace(path: str, content: bytes) -> None:
    """Give ``path`` this content: the old or the new one, whenever the power is cut."""
    # What a cut left is not written to: on FAT it may share its clusters with the file itself.
    free = (name for name in _beside(path, "new") if not os.path.exists(name))
    new = next(free, None)
    if new is None:
        raise NoRoomError(f"{_NAMES} files such as {next(_beside(path, 'new'))} lie beside it")
    try:
        with open(new, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _beside(path: str, extension: str):
    """Yield names of eight and three letters: ``cmdline.bak``, ``cmdline.ba2`` to ``.ba9``."""
    stem = os.path.splitext(path)[0]
    yield f"{stem}.{extension}"
    for number in range(2, _NAMES + 1):
        yield f"{stem}.{extension[:2]}{number}"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    main()
