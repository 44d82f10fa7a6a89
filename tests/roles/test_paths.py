"""Paths and values that a unit, an environment file or a shell could not hold are refused."""

import pytest

from tests.support import playbook

pytestmark = pytest.mark.slow

REFUSED = {
    "/srv/music/": "write /srv/music.",
    "/srv//music": "write /srv/music.",
    "//srv/music": "write /srv/music.",
    "/srv/a/../music": "write /srv/music.",
    "/srv/./music": "write /srv/music.",
    "/": "not / itself",
    "srv/music": "an absolute folder",
    "/srv/a:b": "without colons",
    '/srv/a"b': "without colons, double quotes",
    "/srv/a\\b": "backslashes",
    "/srv/a\nb": "line ends",
    "/srv/music\n": "line ends",
    "/home/pi/Ann's": "has an apostrophe",
    "/tmp/music": "see differently",
    "/var/lib/backend-worker": "within or around",
    "/var/lib/backend-worker/music": "within or around",
    "/var/lib": "within or around",
}
ACCEPTED = [
    "/srv/music",
    "/media/pi/My Passport/Music",
    "/srv/Ann's 100 % Müsik; $HOME & `more` (1)",
    "/srv/...and more",
    "/home/pi/My 100 % Müsik, #1 $x; & `y` (1)",
    "/srv/音楽",
]
ELSEWHERE = {
    "celery_worker_install_dir": ["/opt/a b", "/opt/a'b", "/opt/../x"],
    "celery_worker_config_dir": ["/etc/a$b", "/etc/a/"],
    "celery_worker_state_dir": ["/srv/state", "/var/lib/a%b"],
    "celery_worker_redis_socket": ["/run/a;b"],
    "celery_worker_writable_paths": [["/srv/a b"], ["-/srv/x"]],
    "celery_worker_redis_ca_file": ["/etc/ssl/a b.pem"],
    "celery_worker_after": [["a b.service"]],
    "celery_worker_groups": [["a,b"]],
    "celery_worker_database_name": ["a b"],
    "celery_worker_database_host": ["hub password=x"],
    "celery_worker_settings": [{"contact": "a\nb"}],
    "celery_worker_database_password": ["a\nb"],
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What preflight says to each; one run of Ansible for all."""
    cases = [{"library_music_dir": folder} for folder in [*REFUSED, *ACCEPTED]]
    cases += [{name: value} for name, values in ELSEWHERE.items() for value in values]
    folder = tmp_path_factory.mktemp("paths")
    said = playbook.answers(folder, "celery_worker", "preflight_paths", cases)
    return [(case, answer) for case, answer in zip(cases, said, strict=True)]


def test_music_folders(answers):
    for case, answer in answers[: len(REFUSED)]:
        assert REFUSED[case["library_music_dir"]] in answer, case
    for case, answer in answers[len(REFUSED) : len(REFUSED) + len(ACCEPTED)]:
        assert answer == "accepted", case


def test_everything_else(answers):
    for case, answer in answers[len(REFUSED) + len(ACCEPTED) :]:
        assert answer != "accepted", case
        assert "failed" not in answer.lower(), answer
