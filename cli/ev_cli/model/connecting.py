"""How the model reaches the engine of a session, for the first time and again."""

from __future__ import annotations

from ev_cli.failures import UNREACHABLE, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.client.admin import Admin
    from ev_cli.session import Session


def connector(session: Session) -> Callable[[], Admin]:
    """What makes a client each time that the model needs one.

    The first time starts the local engine, as every command does. After that it is only looked for, since it may listen elsewhere by now:
    one that somebody has stopped stays so, however long a dashboard is open. Passwords are asked for here and now, while there is a
    terminal for it.
    """
    _ = session.security
    tried = False

    def connect() -> Admin:
        nonlocal tried
        if tried and session.target.is_local:
            address = session.engine.listening_address()
            if address is None:
                raise Failure("the local engine does not run", "`ev up` starts it", code=UNREACHABLE)
            session.moved(address)
        admin = session.admin()
        tried = True
        return admin

    return connect
