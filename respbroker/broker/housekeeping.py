"""What is due at a time: expired keys, rates, checkpoints, directories to remove, segments to merge and to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.broker.compactor import Compactor
from respbroker.broker.job import Job
from respbroker.broker.notices import Notices
from respbroker.broker.retention import ROUND_SECONDS, Retention
from respbroker.streams.directories import remove_tree
from storage import Log, RewriteJob, StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from storage.segment import Segment

_EXPIRED_PER_PERIOD: Final = 200
OPENED_PER_PERIOD: Final = 50  # logs of a follower, a sixth of a millisecond each


class Housekeeping:
    """Runs at the end of a tick, at most once a period. Owns the jobs that wait for a thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.next_at = node.now + 1 / node.settings.hz
        self._retention_at = node.now
        self._jobs: list[Job] = []
        self._merging: set[str] = set()
        self._retention = Retention(node)
        self.compactor = Compactor(node, self)
        self.active_expire = True
        self.notices = Notices()
        #: More memory is used than ``maxmemory`` allows, as of the last period.
        self.out_of_memory = False
        #: (level, sentence) for the log, taken by the edge.
        self.reports: list[tuple[str, str]] = [("warning", finding) for finding in node.keyspace.findings]
        if not node.keyspace.settled:
            self._settle()

    def _settle(self) -> None:
        """Sync what a killed server left, in a thread: meanwhile it is served as it was before the kill, unsynced."""
        keyspace = self._node.keyspace
        self._jobs.append(Job("sync what was found", keyspace.filesystem.sync_all, lambda _: keyspace.found_durable()))

    def run(self) -> None:
        """Do what is due ten times a second or so; to be called from `next_at` on."""
        node = self._node
        self.next_at = node.now + 1 / node.settings.hz
        node.statistics.sample(node.now)
        changes = not (node.durability.refusal or node.replication.refusal)  # else others decide, or nobody can
        if self.active_expire and changes:
            for db, key in node.keyspace.expired(node.now_ms, _EXPIRED_PER_PERIOD):
                node.keyspace.expire(db, key)
        if node.group_sessions.watches_some and changes:
            node.settle_groups()
        self.reports += self.notices.due(node.now)
        self._look_after_a_follower()
        self._save_if_due()
        maxmemory = node.settings.maxmemory
        self.out_of_memory = bool(maxmemory) and node.process_facts().get("used_memory", 0) > maxmemory
        if node.now >= self._retention_at:
            self._retention_at = node.now + ROUND_SECONDS
            self._keep_logs()
        if changes:
            self._retention.look_at_closed()
        if node.unfinished:
            node.finish_command()
        self.compactor.run()

    def _look_after_a_follower(self) -> None:
        following, keyspace = self._node.replication.following, self._node.keyspace
        try:
            keyspace.settle_values()
            if following is not None and following.level:
                keyspace.open_some(OPENED_PER_PERIOD)
        except StorageError as error:
            self.report("error", keyspace.told(error))

    def submit(self, job: Job) -> None:
        """Have something done elsewhere."""
        self._jobs.append(job)

    def is_merged(self, segment: Segment) -> bool:
        """Whether a thread is at merging the batches of a segment."""
        return segment.path in self._merging

    def _save_if_due(self) -> None:
        """The rules of the setting ``save``: a checkpoint after so many seconds with so many changes."""
        node, durability = self._node, self._node.durability
        changes, seconds = node.dirty - durability.dirty_at_save, (node.now_ms - durability.last_save_ms) / 1000
        if any(seconds >= wait and changes >= least for wait, least in node.settings.save):
            durability.checkpoint()

    def report(self, level: str, sentence: str) -> None:
        """Tell the operator; an error that goes on, once a minute."""
        if level != "error" or self.notices.is_new(level, sentence, self._node.now):
            self.reports.append((level, sentence))

    @property
    def has_wishes(self) -> bool:
        """Whether there are jobs or reports to take."""
        return bool(self._jobs or self.reports)

    def take_reports(self) -> list[tuple[str, str]]:
        reports, self.reports = self.reports, []
        return reports

    def take_jobs(self) -> list[Job]:
        jobs, self._jobs = self._jobs, []
        return jobs

    def remove(self, numbers: list[int]) -> None:
        """Remove the directories of dropped streams, once it has been synced that they are dropped."""
        keyspace = self._node.keyspace
        try:
            paths = keyspace.set_trash_aside(numbers)
        except StorageError as error:
            self.report("error", str(error))
            return
        if not paths:
            return

        def run() -> None:
            for path in paths:
                remove_tree(keyspace.filesystem, path)

        self._jobs.append(Job("remove dropped streams", run))

    def _keep_logs(self) -> None:
        """Let whole old segments of open streams go, and start merging sealed ones."""
        node = self._node
        for stream in node.keyspace.opened():
            if stream.is_dirty:
                continue
            try:
                if node.replication.refusal is None:
                    self._retention.apply(stream)
                if not node.replication.is_sent(stream.number):
                    for merge in node.keyspace.maintain(stream):
                        self._start_merge(stream.log, merge)
            except StorageError as error:
                self.report("error", str(error))
            if stream.log.unsynced():
                node.durability.mark_written(stream.log)

    def _start_merge(self, log: Log, merge: RewriteJob) -> None:
        """Merge small batches of a sealed segment in a thread, then swap the new file in."""
        if merge.path in self._merging:
            return
        self._merging.add(merge.path)

        def done(result: object) -> None:
            self._merging.discard(merge.path)
            if log in self._node.keyspace.live_logs:
                if merge.result is None and merge.segments[0] in log.segments.sealed:
                    self.report("error", f"cannot merge {merge.path}: a file is missing")
                try:
                    log.swap(merge)
                except StorageError as error:
                    self.report("error", str(error))

        self._jobs.append(Job(f"merge {merge.path}", merge.run, done))
