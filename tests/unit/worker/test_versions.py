"""The versions that the worker was written for, and what it says of others."""

from backend_worker.worker import versions


def test_the_pinned_versions_are_those_of_what_is_overridden():
    assert {"celery", "kombu", "billiard", "redis", "mutagen"} <= set(versions.pinned())
    assert versions.warning() is None


def test_a_start_with_another_version_warns(monkeypatch):
    monkeypatch.setattr(versions, "pinned", lambda: {"kombu": "5.6.0", "no-such-package": "1"})
    told = versions.warning()
    assert "kombu 5.7.0 and not 5.6.0" in told
    assert "no-such-package" in told
    assert "\n" not in told
