"""What can go wrong for a person: one line on stderr that says what happened and what to do, and an exit status.

    0 done            1 failed, or one of several failed      2 usage          3 no such topic, group or context
    4 unreachable, timed out, port taken                      5 refused by authentication or authorisation
    6 condition not met      7 the handler gave up            8 declined       74 stopped by a failed fsync
    126, 127 the handler cannot be run, is not there
    130 INT           143 TERM, HUP                           141 stdout closed

When several apply the order is 5, 4, 3, 1.
"""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
REFUSED = 5
UNMET = 6
GAVE_UP = 7
DECLINED = 8
FSYNC_FAILED = 74

_WEIGHT = {REFUSED: 4, UNREACHABLE: 3, NOT_FOUND: 2, FAILED: 1}
_KIND = {
    FAILED: "failed",
    USAGE: "usage",
    NOT_FOUND: "not-found",
    UNREACHABLE: "unreachable",
    REFUSED: "refused",
    UNMET: "unmet",
    GAVE_UP: "gave-up",
    DECLINED: "declined",
    FSYNC_FAILED: "fsync-failed",
}

# Kafka's codes that have an exit status of their own; the rest are 1.
_OF_CODE = {
    3: NOT_FOUND,  # UNKNOWN_TOPIC_OR_PARTITION
    69: NOT_FOUND,  # GROUP_ID_NOT_FOUND
    100: NOT_FOUND,  # UNKNOWN_TOPIC_ID
    5: UNREACHABLE,  # LEADER_NOT_AVAILABLE
    7: UNREACHABLE,  # REQUEST_TIMED_OUT
    8: UNREACHABLE,  # BROKER_NOT_AVAILABLE
    13: UNREACHABLE,  # NETWORK_EXCEPTION
    15: UNREACHABLE,  # COORDINATOR_NOT_AVAILABLE
    29: REFUSED,  # TOPIC_AUTHORIZATION_FAILED
    30: REFUSED,  # GROUP_AUTHORIZATION_FAILED
    31: REFUSED,  # CLUSTER_AUTHORIZATION_FAILED
    53: REFUSED,  # TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    58: REFUSED,  # SASL_AUTHENTICATION_FAILED
}


REMEDIED = frozenset((17, 29, 30, 31, 36, 38, 40, 53, 54, 68, 86))
"""Rights that lack, names that are taken or cannot be, too many replicas, settings, ACLs without an authorizer, groups with members."""


DOCTOR = "`ev doctor` looks for the cause"
"""What to do when nobody answers."""


class Failure(Exception):
    """A failure that was understood: the message says what happened, the hint what to do next."""

    def __init__(self, message: str, hint: str | None = None, *, code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    @property
    def kind(self) -> str:
        return _KIND.get(self.code, "failed")

    def line(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UsageFailure(Failure):
    """The command line, the environment or the configuration does not say what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint, code=USAGE)


class StdoutClosed(Exception):
    """The reader of our stdout has gone: end quietly."""


class Interrupted(Exception):
    """A signal arrived while waiting for something that may be given up at any moment."""


def exit_code(error: BaseException) -> int:
    """The exit status that a failure, or an error of the engine's client, ends with."""
    from ev import errors

    if isinstance(error, Failure):
        return error.code
    if isinstance(error, errors.KafkaError):
        return exit_code_of(error.code)
    if isinstance(error, errors.TransactionError) and error.reason is not None:
        return exit_code(error.reason)
    if isinstance(error, errors.UnknownTopicError | errors.UnknownGroupError):
        return NOT_FOUND
    if isinstance(error, errors.UnreachableError | errors.TimedOutError):
        return UNREACHABLE
    if isinstance(error, errors.AuthenticationError):
        return REFUSED
    return FAILED


def exit_code_of(code: int) -> int:
    """The exit status that one of Kafka's error codes ends with."""
    return _OF_CODE.get(code, FAILED)


def heavier(left: int, right: int) -> int:
    """Of two exit statuses of one run, the one that it ends with."""
    return left if _WEIGHT.get(left, 0) >= _WEIGHT.get(right, 0) else right


def as_failure(error: BaseException, where: str = "") -> Failure:
    """Any error as one line for a person. `where` names the engine or cluster that was spoken to."""
    if isinstance(error, Failure):
        return error
    from ev import errors

    code = exit_code(error)
    at = f" on {where}" if where else ""
    if isinstance(error, errors.UnknownTopicError):
        return no_such("topic", error.topic, error.nearest, where)
    if isinstance(error, errors.UnknownGroupError):
        return no_such("group", error.group, error.nearest, where)
    if isinstance(error, errors.KafkaError):
        return Failure(f"{error.message.rstrip('.')} ({error.name}{at})", _remedy(error.code), code=code)
    if isinstance(error, errors.SettingError):
        return UsageFailure(str(error))
    if isinstance(error, errors.EvError):
        return Failure(str(error), DOCTOR if isinstance(error, errors.UnreachableError | errors.TimedOutError) else None, code=code)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return Failure(f"{name}{error.strerror or error}")
    return Failure(f"internal error: {type(error).__name__}: {error}", "EV_TRACEBACK=1 shows where; please report it")


def _remedy(code: int) -> str | None:
    """What a person can do about one of Kafka's codes, in few words; `ev explain` has more of them, and the whole."""
    if code not in REMEDIED:
        return None
    from ev_cli.remedies import REMEDIES

    text = REMEDIES[code].partition(". ")[0].rstrip(".")
    return text[:1].lower() + text[1:]


def no_such(noun: str, name: str, nearest: str | None, where: str = "") -> Failure:
    """The failure of a name that is not there."""
    at = f" on {where}" if where else ""
    hint = f"did you mean {nearest!r}?" if nearest else f"`ev {noun.partition(' ')[0]} list` shows what is there"
    return Failure(f"no {noun} {name!r}{at}", hint, code=NOT_FOUND)
