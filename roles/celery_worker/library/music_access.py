#!/usr/bin/python
"""Ansible module: whether a user may read the music, and letting him by access control lists."""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import stat
import struct

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: music_access
short_description: Looks whether a user may read a folder, and lets him read it by ACLs
description:
  - With C(state=looked) nothing is changed. A user who does not exist yet counts as one without
    any right of his own.
  - With C(state=granted) the user may pass through the folders above, where he may not yet, and
    read the folder, what is in it and what comes into it. What was changed is written down.
  - With C(state=revoked) all of that is taken back.
options:
  path:
    description: The folder. Not needed to take it back.
    type: path
  user:
    description: Name of the user.
    type: str
  groups:
    description: Groups that he has beside his own.
    type: list
    elements: str
    default: []
  record:
    description: File in which it is written down what was changed.
    type: path
  state:
    description: What to do.
    type: str
    choices: [looked, granted, revoked]
    default: looked
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Let the worker read the music in a home
  music_access:
    path: /home/pi/Music
    user: backend-worker
    record: /etc/backend-worker/music-acl.json
    state: granted
"""

RETURN = r"""
real:
  description: The folder's path without symbolic links.
  type: str
  returned: with a path
exists:
  description: Whether it is a folder.
  type: bool
  returned: with a path
closed:
  description: Folders that the user may not pass through or not read, from above.
  type: list
  elements: str
  returned: with a path
without_acl:
  description: Those of them whose file system knows no ACLs.
  type: list
  elements: str
  returned: with a path
"""

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32  # also their order in the list
NO_ID = 0xFFFFFFFF
PASS, READ, READ_AND_PASS = 1, 4, 5
NOBODY = 65534


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"},
            "user": {"type": "str"},
            "groups": {"type": "list", "elements": "str", "default": []},
            "record": {"type": "path"},
            "state": {"choices": ["looked", "granted", "revoked"], "default": "looked"},
        },
        required_if=[
            ("state", "looked", ["path", "user"]),
            ("state", "granted", ["path", "user", "record"]),
            ("state", "revoked", ["record"]),
        ],
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        changed = _CHANGES[wanted["state"]](wanted, module.check_mode)
    except OSError as error:
        module.fail_json(msg=f"the rights of {error.filename} could not be changed: {error}")
    seen = {}
    if wanted["path"]:
        seen = look(wanted["path"], wanted["user"], wanted["groups"])
    module.exit_json(changed=changed, **seen)


def look(path: str, user: str, groups: list[str]) -> dict:
    """Say what the user may not pass through or not read on the way to a folder."""
    real = os.path.realpath(path)
    steps = sorted({*above(path), *above(real)}, key=lambda step: (step.count("/"), step))
    questions = [(step, os.X_OK) for step in steps if os.path.isdir(step)]
    exists = os.path.isdir(path)
    if exists:
        questions.append((real, os.R_OK | os.X_OK))
    closed = refused(questions, user, groups)
    return {
        "real": real,
        "exists": exists,
        "closed": closed,
        "without_acl": [step for step in closed if not knows_acl(step)],
    }


def above(path: str) -> list[str]:
    """Return the folders above a path, from ``/`` on."""
    parts = path.strip("/").split("/")[:-1]
    return ["/", *("/" + "/".join(parts[: n + 1]) for n in range(len(parts)))]


def refused(questions: list[tuple[str, int]], user: str, groups: list[str]) -> list[str]:
    """Return the paths that the user may not use so; asked by a process that is the user."""
    try:
        account = pwd.getpwnam(user)
        uid, gid = account.pw_uid, account.pw_gid
        numbers = os.getgrouplist(user, gid)
    except KeyError:
        uid, gid, numbers = NOBODY, NOBODY, []
    for name in groups:
        try:
            numbers.append(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue  # it comes with a package
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups(numbers)
        os.setegid(gid)
        answer = [path for path, mode in questions if not _may(path, mode, uid)]
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def _may(folder: str, mode: int, uid: int) -> bool:
    """Say whether the user may do this, once he has come as far as this folder."""
    try:
        os.seteuid(0)
        os.chdir(folder)
        os.seteuid(uid)
        return os.access(".", mode, effective_ids=True)
    except OSError:
        return False


def grant(wanted: dict, check: bool) -> bool:
    """Let the user read the folder; return whether something was changed."""
    path, user, record = wanted["path"], wanted["user"], wanted["record"]
    before = recorded(record)
    same = before and (before["user"], before["folder"]) == (user, path)
    closed = look(path, user, wanted["groups"])["closed"]
    if same and not closed:
        return False
    if check:
        return True
    if before and not same:
        revoke(wanted, check)
        before, closed = None, look(path, user, wanted["groups"])["closed"]
    real = os.path.realpath(path)
    parents = [step for step in closed if step != real]
    known = before["parents"] if before else []
    # first the note, then the deed: what is cut short can be taken back as well
    note = {"user": user, "folder": path, "parents": sorted({*known, *parents})}
    new = f"{record}.new"
    with open(new, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, record)
    uid = pwd.getpwnam(user).pw_uid
    for step in parents:
        change(step, ACCESS, uid, PASS)
    for inner, is_folder in below(real):
        change(inner, ACCESS, uid, READ_AND_PASS if is_folder else READ)
        if is_folder:
            change(inner, DEFAULT, uid, READ_AND_PASS)
    return True


def revoke(wanted: dict, check: bool) -> bool:
    """Take back what was granted; return whether there was anything."""
    record = wanted["record"]
    before = recorded(record)
    if not before:
        return False
    if check:
        return True
    try:
        uid = pwd.getpwnam(before["user"]).pw_uid
    except KeyError:
        uid = None  # nobody is left who could use it
    if uid is not None:
        for step in before["parents"]:
            if os.path.isdir(step):
                change(step, ACCESS, uid, None)
        real = os.path.realpath(before["folder"])
        for inner, is_folder in below(real) if os.path.isdir(real) else ():
            change(inner, ACCESS, uid, None)
            if is_folder:
                change(inner, DEFAULT, uid, None)
    os.unlink(record)
    return True


def recorded(record: str) -> dict | None:
    """Return what is written down, or nothing."""
    try:
        with open(record, encoding="utf-8", errors="surrogateescape") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def below(folder: str):
    """Yield the folder and all folders and files in it on the same disk, without links."""
    device = os.stat(folder).st_dev
    yield folder, True
    for where, folders, files in os.walk(folder):
        paths = [os.path.join(where, name) for name in folders]
        kept = [not os.path.islink(path) and os.stat(path).st_dev == device for path in paths]
        folders[:] = [name for name, keep in zip(folders, kept, strict=True) if keep]
        yield from ((path, True) for path, keep in zip(paths, kept, strict=True) if keep)
        for name in files:
            path = os.path.join(where, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield path, False


def knows_acl(path: str) -> bool:
    """Say whether the path's file system has access control lists."""
    try:
        os.getxattr(path, ACCESS)
    except OSError as error:
        return error.errno == errno.ENODATA
    return True


def change(path: str, kind: str, uid: int, right: int | None) -> None:
    """Give the user this right in one of the path's two lists, or none, and leave all others'."""
    try:
        raw = os.getxattr(path, kind)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        raw = b""
    entries = [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw), 8)]
    if right is None and not any(entry[0] == USER and entry[2] == uid for entry in entries):
        return
    if kind == ACCESS and right == READ and os.stat(path).st_mode & stat.S_IROTH and not entries:
        return  # everybody may read this file: 100,000 of them need no list
    entries = changed(entries or _of_mode(os.stat(path).st_mode), uid, right)
    if kind == DEFAULT and len(entries) == 3:
        os.removexattr(path, kind)
    else:
        os.setxattr(path, kind, struct.pack("<I", 2) + b"".join(_packed(e) for e in entries))


def changed(entries: list[tuple], uid: int, right: int | None) -> list[tuple]:
    """Return a list's entries (tag, rights, id) with this user's right, or without him."""
    mask = next((rights for tag, rights, _ in entries if tag == MASK), 7)
    # what the mask held back stays held back, whatever the new mask allows
    others = [
        (tag, rights & mask if tag in {USER, GROUP_OBJ, GROUP} else rights, number)
        for tag, rights, number in entries
        if tag != MASK and (tag, number) != (USER, uid)
    ]
    if right is not None:
        others.append((USER, right, uid))
    if any(tag in {USER, GROUP} for tag, _, _ in others):
        mask = 0
        for tag, rights, _ in others:
            if tag in {USER, GROUP_OBJ, GROUP}:
                mask |= rights
        others.append((MASK, mask, NO_ID))
    return sorted(others, key=lambda entry: (entry[0], entry[2]))


def _of_mode(mode: int) -> list[tuple]:
    return [
        (USER_OBJ, mode >> 6 & 7, NO_ID),
        (GROUP_OBJ, mode >> 3 & 7, NO_ID),
        (OTHER, mode & 7, NO_ID),
    ]


def _packed(entry: tuple) -> bytes:
    return struct.pack("<HHI", *entry)


_CHANGES = {"looked": lambda _wanted, _check: False, "granted": grant, "revoked": revoke}

if __name__ == "__main__":
    main()
