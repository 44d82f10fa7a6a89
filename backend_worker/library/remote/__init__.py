"""Remote services: what asking them may end in. The clients themselves need httpx."""

from __future__ import annotations


class RemoteAway(Exception):  # noqa: N818 - the state of a service, not a fault of ours
    """The service does not answer, or asks to be left alone; nothing may be asked for a while.

    Attributes:
        retry_after: seconds that the service itself asked for, else None.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class UnusableAnswer(Exception):  # noqa: N818 - as above
    """The service answered this one question with something that is of no use."""
