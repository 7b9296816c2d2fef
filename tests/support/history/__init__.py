"""A history of what clients sent, were told and read, and the search for what must not be in it.

Values are unique within a run. Time-outs are "maybe": what was never answered may be there or not. The rules are those of Jepsen's Kafka
workload as far as they apply to one broker:

    of the log (`writes`)
    lost          acknowledged, and not in the final read of its partition
    unseen        acknowledged behind the end of the final read, or in a partition that was never read to its end
    duplicate     one value at two offsets, for a reader of committed records (producers are idempotent)
    conflict      two values at one offset: two readers, or a reader and an acknowledgement, disagree
    phantom       read, and never sent
    rejected      read, though its sender was told that it was refused for good
    gap           an offset between the first and the last is neither a record of the final read nor a marker
    reordered     of two values from one sender to one partition the later one has the lower offset

    of readers (`reads`)
    backwards     a reader that did not seek got an offset again, or one before it
    skipped       a reader that did not seek passed over a record
    vanished      a reader got what the final read does not have: it was not there to stay

    of transactions (`transactions`)
    aborted       a reader of committed records got what its transaction has aborted (G1a)
    precommitted  a transaction read, among committed records, what it has sent itself
    torn          of one transaction some records are in the final read and others are not
    backwards inside, skipped inside      the same as without "inside", between two polls of one transaction
    circular      transactions that have each read what another one in the circle has sent (G1c, write-read dependencies only:
                  Kafka promises nothing about the order of two transactions' writes)

    of groups (`groups`)
    ahead         a committed offset beyond the end of the log
    regressed     a group's committed offset is lower than one that was acknowledged before
    overtaken     a commit was taken from a member that asked for it when another had been given the partition already
    redelivered   a member was given a partition and began before what was committed
    passed over   a member was given a partition and began behind everything that anybody had asked to commit
    unhandled     a record that no member of the group has handled, though the group came to the end

The final read goes from the beginning to the end after everything has stopped.
"""

from support.history.facts import Commit, Outcome, Place, Transaction, Turn
from support.history.record import History

__all__ = ["Commit", "History", "Outcome", "Place", "Transaction", "Turn"]
