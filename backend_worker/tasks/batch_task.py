"""What the tasks share that deal with one batch: whatever becomes of it, its scan ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend_worker.storage import batches
from backend_worker.storage.connection import DatabaseUnusableError
from backend_worker.tasks.base import TRANSIENT, PipelineTask, one_line, send, send_paths
from backend_worker.tasks.followup import abandon_scan

if TYPE_CHECKING:
    from collections.abc import Sequence


class BatchTask(PipelineTask):
    """A task that deals with one batch of a scan.

    When it fails for a reason that will not pass, its batch is halved and read again, until the
    one file is found and recorded as failed: the scan must end, with figures that add up. Where
    nothing can be stored at all, no batch is to blame and the scan stops. What a client has sent
    waits then: nobody would send it again.
    """

    abstract = True
    # otherwise a client may have sent the tags, and they are nowhere to be read again
    reads_files = False
    autoretry_for = (*TRANSIENT, DatabaseUnusableError)

    @staticmethod
    def batch_of(args: Sequence[Any], kwargs: dict[str, Any]) -> str | None:
        """Return the id of the batch in the task's arguments."""
        batch_id = kwargs.get("batch_id") or (args[1] if len(args) > 1 else None)
        return None if batch_id is None else str(batch_id)

    def retry(self, *args: Any, exc: BaseException | None = None, **kwargs: Any) -> Any:
        """Try again later, but for a batch of a scan to whose database nothing can be stored."""
        if isinstance(exc, DatabaseUnusableError):
            batch_id = self.batch_of(self.request.args, self.request.kwargs)
            if batch_id and batches.scan_of(batch_id) is not None:
                raise exc
        return super().retry(*args, exc=exc, **kwargs)

    def on_failure(
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        """Halve the batch; record a single file as failed, and end its scan if it was the last."""
        super().on_failure(exc, task_id, args, kwargs, einfo)
        batch_id = self.batch_of(args, kwargs)
        if not batch_id:
            return
        if isinstance(exc, DatabaseUnusableError):
            scan_id = batches.scan_of(batch_id)
            if scan_id is not None:
                abandon_scan(scan_id, str(exc))
            return
        if self.reads_files or batches.scan_of(batch_id) is not None:
            halves = batches.split_batch(batch_id)
            for half_id, paths in halves:
                send_paths(half_id, paths)
            if halves:
                return
        scan_id = batches.fail_batch(batch_id, f"internal error in {self.name}: {one_line(exc)}")
        if scan_id is not None:
            send("scan.finish", [scan_id])
