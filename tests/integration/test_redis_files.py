"""Damaged append-only files: Redis starts again all the same, and loses no more than it must."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import redis

from backend_worker.cli.scan import start_scan
from backend_worker.embedded import EmbeddedRedis, EmbeddedServerError
from backend_worker.queues import UNACKED_INDEX_KEY, UNACKED_KEY
from tests.support.disturbance import check, wait_for_stored
from tests.support.redis_files import RedisFiles

MESSAGES = 300
REFUSED, LOADED = True, False  # by Redis, when nobody repairs


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The files of a Redis with some messages that the power was cut off."""
    folder = tmp_path_factory.mktemp("filled")
    server = EmbeddedRedis(folder / "redis", folder).start()
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        client.rpush("before", *range(MESSAGES))
        client.bgrewriteaof()
        while client.info("persistence")["aof_rewrite_in_progress"]:
            pass
        for number in range(MESSAGES):
            client.rpush("extract", f"message {number} {'x' * 200}")
    server.kill()
    return server.folder


@pytest.fixture
def server(filled, tmp_path):
    """A server that is not started, with those files."""
    server = EmbeddedRedis(tmp_path / "redis", tmp_path)
    shutil.copytree(filled, server.folder)
    yield server
    server.stop()


@pytest.fixture
def files(server, tmp_path):
    return RedisFiles(server, tmp_path)


def append_only(server, pattern):
    [path] = (server.folder / "appendonlydir").glob(pattern)
    return path


def incr(server):
    return append_only(server, "*.incr.aof")


def base(server):
    return append_only(server, "*.base.rdb")


def manifest(server):
    return append_only(server, "*.manifest")


def overwrite(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def zeros_at_the_tail(server):
    with incr(server).open("ab") as file:
        file.write(bytes(4096))


def sector_of_zeros(server):
    overwrite(incr(server), 40 * 512, bytes(512))


def zeros_from_the_middle(server):
    size = incr(server).stat().st_size
    overwrite(incr(server), size // 2, bytes(size - size // 2))


def zeros_at_the_start(server):
    overwrite(incr(server), 0, bytes(4096))


def cut_in_a_message(server):
    os.truncate(incr(server), incr(server).stat().st_size - 37)


def damaged_text(server):
    overwrite(incr(server), incr(server).read_bytes().index(b"message 7 ") + 20, bytes(4))


def damaged_command(server):
    content = incr(server).read_bytes()
    overwrite(incr(server), content.index(b"RPUSH", 9000) + 1, b"\0")


def empty_manifest(server):
    manifest(server).write_bytes(b"")


def manifest_of_zeros(server):
    manifest(server).write_bytes(bytes(manifest(server).stat().st_size))


def missing_manifest(server):
    manifest(server).unlink()


def missing_base(server):
    base(server).unlink()


def broken_base(server):
    overwrite(base(server), 60, bytes(40))


def missing_incr(server):
    incr(server).unlink()


def file_for_a_folder(server):
    shutil.rmtree(server.folder / "appendonlydir")
    (server.folder / "appendonlydir").write_text("not a folder")


def length(server, key):
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        return client.llen(key)


def contents(folder):
    files = folder / "appendonlydir"
    if files.is_file():
        return files.read_bytes()
    return {path.name: path.read_bytes() for path in files.iterdir()}


def damaged(server):
    return sorted((server.folder / "damaged").glob("*/README"))


@pytest.mark.parametrize(
    ("damage", "unaided", "before", "extract"),
    [
        (zeros_at_the_tail, REFUSED, MESSAGES, MESSAGES),
        (sector_of_zeros, REFUSED, MESSAGES, range(50, 100)),
        (zeros_from_the_middle, REFUSED, MESSAGES, range(140, 151)),
        (zeros_at_the_start, REFUSED, MESSAGES, 0),
        (cut_in_a_message, LOADED, MESSAGES, MESSAGES - 1),
        (damaged_text, LOADED, MESSAGES, MESSAGES),
        (damaged_command, REFUSED, 0, 0),
        (empty_manifest, REFUSED, MESSAGES, MESSAGES),
        (manifest_of_zeros, REFUSED, MESSAGES, MESSAGES),
        (missing_manifest, LOADED, MESSAGES, MESSAGES),  # but without its data
        (missing_base, REFUSED, 0, 0),
        (broken_base, REFUSED, 0, 0),
        (missing_incr, REFUSED, MESSAGES, 0),
        (file_for_a_folder, REFUSED, 0, 0),
    ],
)
def test_redis_starts_after(server, files, damage, unaided, before, extract):
    damage(server)
    if unaided is REFUSED:
        with pytest.raises(EmbeddedServerError):
            server.start()
    original = contents(server.folder)
    files.start()
    server.start()
    assert length(server, "before") == before
    found = length(server, "extract")
    assert found in extract if isinstance(extract, range) else found == extract
    if unaided is REFUSED:
        [note] = damaged(server)
        assert contents(note.parent) == original
        assert "Redis refused these files" in note.read_text()
    # and it stays so
    server.kill()
    files.start()
    server.start()
    assert length(server, "extract") == found
    assert len(damaged(server)) <= 1


@pytest.mark.parametrize(
    ("taken", "index"), [(UNACKED_KEY, UNACKED_INDEX_KEY), ("unacked", "unacked_index")]
)
def test_what_workers_had_taken_goes_back_when_the_end_is_lost(server, files, taken, index):
    """They may have dealt with it since, and would never remove what they do not remember."""
    message = '{"body": "W10=", "headers": {"lists": [], "quote": "\\"]"}}'
    server.start()
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        client.hset(taken, "tag", f'[{message}, "", "scan"]')
        client.zadd(index, {"tag": 1})
        client.rpush("scan", "waiting")
        for number in range(100):
            client.set("other", number)
    server.kill()
    overwrite(incr(server), incr(server).stat().st_size - 2000, bytes(2000))
    files.start()
    server.start()
    with redis.Redis(unix_socket_path=str(server.socket), decode_responses=True) as client:
        assert client.lrange("scan", 0, -1) == ["waiting", message]
        assert not client.exists(taken, index)


def test_files_in_order_are_tried_only_after_an_unclean_end(server, files):
    assert "had not stopped in order" in files.start()
    server.start()
    server.stop()
    files.stopped()
    assert files.start() == ""
    server.start()
    server.kill()
    files.stopped("signal")
    assert "had not stopped in order" in files.start()


def test_damage_after_an_orderly_stop_is_seen(server, files):
    files.start()
    server.start()
    server.stop()
    files.stopped()
    zeros_at_the_tail(server)
    assert "4,096 bytes" in files.start()
    server.start()
    assert length(server, "extract") == MESSAGES


def test_another_fault_than_the_files_leaves_them_alone(server, files, tmp_path):
    sector_of_zeros(server)
    with (tmp_path / "redis.conf").open("a") as config:
        config.write("nonsense yes\n")
    before = manifest(server).stat()
    assert "would not start without its files either" in files.start()
    assert manifest(server).stat() == before
    assert damaged(server) == []


def test_few_damaged_files_are_kept(server, files):
    for _ in range(5):
        zeros_at_the_tail(server)
        files.start()
    names = [note.parent.name[:4] for note in damaged(server)]
    assert names == ["0003", "0004", "0005"]


@pytest.fixture
def stranger(filled):
    """A user who can run the server, and a folder of his that is not all his."""
    user = pwd.getpwnam("daemon")
    if os.geteuid() != 0:
        pytest.skip("only root gives files to others")
    folder = Path(tempfile.mkdtemp(prefix="bw-redis-"))
    folder.chmod(0o755)
    server = EmbeddedRedis(folder / "redis", folder)
    shutil.copytree(filled, server.folder)
    reach = [
        "setpriv",
        f"--reuid={user.pw_uid}",
        "--clear-groups",
        server._command()[0],
        "--version",
    ]
    if subprocess.run(reach, capture_output=True, check=False).returncode != 0:
        pytest.skip("another user cannot reach the environment")
    yield user, server, RedisFiles(server, folder)
    server.stop()
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o600, 0o000])
def test_files_of_another_owner_are_given_back(stranger, mode):
    user, server, files = stranger
    server.folder.chmod(0o700)
    for path in (server.folder / "appendonlydir").iterdir():
        path.chmod(mode)
    assert "were not daemon's" in files.start("--user", "daemon")
    for path in (server.folder, *server.folder.rglob("append*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (user.pw_uid, user.pw_gid)
        assert path.stat().st_mode & 0o600 == 0o600
    assert files.start("--user", "daemon").startswith("<6>")


def test_missing_folder_is_made(stranger):
    user, server, files = stranger
    shutil.rmtree(server.folder)
    files.start("--user", "daemon")
    assert server.folder.stat().st_uid == user.pw_uid


def test_files_that_only_have_a_name_there_are_not_given(stranger):
    """Whoever can write into the folder must not get others' files by a link."""
    _, server, files = stranger
    secret = server.folder.parent / "secret"
    secret.write_text("root's")
    (server.folder / "soft").symlink_to(secret)
    os.link(secret, server.folder / "hard")
    files.start("--user", "daemon")
    assert secret.stat().st_uid == 0
    assert (server.folder / "appendonlydir").stat().st_uid != 0


@pytest.mark.slow
@pytest.mark.parametrize("damage", [zeros_from_the_middle, broken_base])
def test_scan_goes_on_after_redis_was_repaired(
    library, servers, small_batches, sample, undisturbed, tmp_path, damage
):
    files = RedisFiles(servers.redis, tmp_path)
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    servers.redis.kill()
    damage(servers.redis)
    assert "were damaged" in files.start()
    servers.redis.start()
    check(scan_id, undisturbed)
    assert small_batches.poll() is None
