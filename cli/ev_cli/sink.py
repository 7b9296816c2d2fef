"""Where the records of a run go, and which offsets that makes committable.

The run hands over what it has read (`add`, `flush`), lets the sink work once a turn (`turn`), and commits what `due` and `all` hand out.
A sink that cannot keep up is `full`: the run then reads no further, and goes on speaking to the group. When nothing more is wanted the run
asks `ended` turn by turn, until nothing is left to wait for.
"""

from __future__ import annotations

from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.formats import Renderer
    from ev_cli.interrupts import Interrupts

    Partition = tuple[str, int]


class Sink:
    """What every sink can do; here nothing has to be waited for, and nothing is ever full."""

    poll_bytes_max: int | None = None
    """How much the run may read at once; None is the client's own bound."""

    def __init__(self, renderer: Renderer, left: int | None) -> None:
        self.renderer = renderer
        self.left = left
        """How many records may still be taken; None when there is no bound."""
        self.interrupts: Interrupts | None = None
        """The signals of the run: when one has come nothing new is begun."""

    def begins(self, starts: Mapping[Partition, int | None]) -> dict[Partition, int]:
        """Where reading begins in partitions of which the sink remembers it; `starts` is what -o says, None being the default."""
        return {}

    def reads_from(self, consumer: Consumer) -> None:
        """The consumer that reads for this sink, or another one from now on."""

    def waits_for(self, marks: dict[Partition, int]) -> None:
        """Up to which offset each partition is there already: one that puts records into the order of time waits for those."""

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        """Take what is wanted of a batch: the records below `end`, and not more than `left`."""
        raise NotImplementedError

    def flush(self) -> None:
        """What was added goes on its way."""

    @property
    def full(self) -> bool:
        """Whether the run shall read no further for now."""
        return False

    def patience_ms(self, longest_ms: int) -> int:
        """How long the run may wait for records: not long while there is work."""
        return longest_ms

    def turn(self) -> None:
        """Do what can be done now."""

    def due(self, now_ms: int) -> dict[Partition, int]:
        """What shall be committed now; empty when it is not time."""
        raise NotImplementedError

    def all(self) -> dict[Partition, int]:
        """Everything that may be committed and was not handed out before."""
        raise NotImplementedError

    def keep(self, offsets: dict[Partition, int]) -> None:
        """These could not be committed now: hand them out again, unless there are later ones."""
        raise NotImplementedError

    def hurry(self, partitions: Iterable[Partition]) -> None:
        """The partitions go to others in a moment: what is in work with them may end first, if it does so soon."""

    def dropped(self, partitions: Iterable[Partition]) -> None:
        """The partitions belong to others now: nothing of them may be committed any more."""

    def stalled_ms(self, now_ms: int) -> int:
        """How long whoever takes the records has shown no sign of life although there is something to do."""
        return 0

    def stop(self) -> None:
        """A signal has come: begin nothing new."""

    def ended(self) -> bool:
        """Nothing more comes: whether everything that can be waited for has happened."""
        return True

    def kill(self) -> None:
        """A second signal has come, and we die of it: processes of ours go first."""

    def close(self) -> None:
        """Let go of processes and files, however the run has ended."""

    # -- for sinks -----------------------------------------------------------------------------------------------------------

    def wanted(self, batch: FetchedBatch, end: int | None) -> list[bytes]:
        """The records of a batch that are wanted, rendered; they count as taken. Nulls among plain values are still None."""
        if self.left == 0:
            return []
        pieces = self.renderer.pieces(batch)
        if end is not None and batch.next_offset > end:
            pieces = list(islice(pieces, sum(offset < end for offset in batch.columns.offsets)))
        if self.left is not None:
            pieces = pieces[: self.left]
            self.left -= len(pieces)
        return pieces
