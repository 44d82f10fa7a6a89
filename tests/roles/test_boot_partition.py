"""The kernel's command line is changed on a real FAT, and can be put back with a card reader."""

import importlib.util
import os

import pytest
import yaml

from tests.support import fat, playbook

BEFORE = b"console=serial0,115200 console=tty1 root=PARTUUID=1a2b3c4d-02 rootwait\n"
AFTER = BEFORE.rstrip() + b" cgroup_enable=memory\n"


@pytest.fixture
def card(tmp_path):
    image = tmp_path / "card.img"
    fat.make(image, {"cmdline.txt": BEFORE, "config.txt": b"dtparam=audio=on\n"})
    return image


def switch_on(folder, **more):
    """Run the role's own tasks on the file system at ``folder``."""
    edit = {
        "ansible.builtin.include_role": {"name": "board", "tasks_from": "memory_controller"},
        "vars": {"board_reboot": False},
    }
    look = {
        "name": "Look",
        "ansible.builtin.stat": {"path": str(folder / "cmdline.txt")},
        "register": "__board_cmdline",
    }
    ended = playbook.run(
        folder.parent,
        [look, edit],
        board_cmdline_file=str(folder / "cmdline.txt"),
        **more,
    )
    # whether this machine's own kernel has the controller is not asked here
    return ended, [text for text in ended.failures if "has no memory controller" not in text]


@pytest.mark.slow
def test_the_controller_is_switched_on_and_the_old_line_is_beside_it(card, tmp_path):
    with fat.mounted(card, tmp_path / "firmware") as folder:
        would, failures = switch_on(folder, check=True)
        assert failures == []
        assert would.changed == ["Add the memory controller to the kernel's command line"]
        assert len(os.listdir(folder)) == 2
        ended, failures = switch_on(folder)
        assert failures == []
        assert "Add the memory controller to the kernel's command line" in ended.changed
        again, failures = switch_on(folder)
        assert failures == []
        assert again.changed == []
    assert fat.is_sound(card)
    assert fat.files(card) == {
        "cmdline.txt": AFTER,
        "cmdline.bak": BEFORE,
        "config.txt": b"dtparam=audio=on\n",
    }


@pytest.fixture
def module():
    pytest.importorskip("ansible", reason="Ansible is not installed here: make .venv/.control")
    path = playbook.ROOT / "roles" / "board" / "library" / "kernel_word.py"
    spec = importlib.util.spec_from_file_location("kernel_word", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (BEFORE, AFTER),
        # a space and an empty line behind
        (b"console=tty1 rootwait \n\n", b"console=tty1 rootwait cgroup_enable=memory\n"),
        # there already; no line end
        (b"cgroup_enable=memory rootwait", b"cgroup_enable=memory rootwait"),
        (b"cgroup_enable=cpuset,memory rootwait", b"cgroup_enable=cpuset,memory rootwait"),
        # words that only look like it
        (b"my.cgroup_enable=memory x\n", b"my.cgroup_enable=memory x cgroup_enable=memory\n"),
        (b"cgroup_enable=memory-2\n", b"cgroup_enable=memory-2 cgroup_enable=memory\n"),
    ],
)
def test_the_word_is_added_once(module, line, after):
    variables = playbook.ROOT / "roles" / "board" / "vars" / "main.yml"
    present = yaml.safe_load(variables.read_text())["__board_cgroup_word"]
    assert module.added(line, "cgroup_enable=memory", present) == after
    assert module.added(after, "cgroup_enable=memory", present) == after


def test_a_copy_is_never_overwritten(card, tmp_path, module):
    owners = b"root=/dev/sda2 an older line\n"
    with fat.mounted(card, tmp_path / "firmware") as folder:
        path = str(folder / "cmdline.txt")
        (folder / "cmdline.bak").write_bytes(owners)
        copy = module.keep(path, BEFORE)
        assert os.path.basename(copy) == "cmdline.ba2"
        module.replace(path, AFTER)
        # put back with a card reader, and switched on once more: the same copy serves
        module.replace(path, BEFORE)
        assert module.keep(path, BEFORE) == copy
    assert fat.files(card)["cmdline.bak"] == owners
    assert fat.files(card)["cmdline.ba2"] == BEFORE


def test_a_power_cut_at_any_step_leaves_the_old_line_or_the_new_one(
    card, tmp_path, module, monkeypatch
):
    cuts = []

    def watch(name):
        """Copy the card, as a power cut would leave it, before and after each such call."""
        original = getattr(os, name)

        def call(*arguments):
            cuts.append(card.read_bytes())
            result = original(*arguments)
            cuts.append(card.read_bytes())
            return result

        monkeypatch.setattr(os, name, call)

    with fat.mounted(card, tmp_path / "firmware") as folder:
        path = str(folder / "cmdline.txt")
        for name in ("fsync", "replace", "unlink"):
            watch(name)
        module.keep(path, BEFORE)
        module.replace(path, AFTER)
        monkeypatch.undo()
    seen = []
    for cut in dict.fromkeys(cuts):
        (tmp_path / "cut.img").write_bytes(cut)
        seen.append(fat.files(tmp_path / "cut.img"))
    assert len(seen) > 3
    assert {files["cmdline.txt"] for files in seen} == {BEFORE, AFTER}
    assert {files.get("cmdline.bak", BEFORE) for files in seen} == {BEFORE}


def test_a_full_partition_leaves_everything_as_it_was(card, tmp_path, module):
    fat.fill(card)
    before = fat.files(card)
    with fat.mounted(card, tmp_path / "firmware") as folder:
        with pytest.raises(OSError, match="Errno"):
            module.keep(str(folder / "cmdline.txt"), BEFORE)
        with pytest.raises(OSError, match="Errno"):
            module.replace(str(folder / "cmdline.txt"), AFTER)
    assert fat.files(card) == before
