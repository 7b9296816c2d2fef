"""From the command `ev tui` to the application and back: the terminal is what it was, whatever happens between."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

from ev_cli import output
from ev_cli.failures import DONE, Failure
from ev_cli.session import configuration
from ev_tui.settings import settings_of

if TYPE_CHECKING:
    from ev_cli.model.alert_files import Alerts
    from ev_cli.model.poller import ClusterModel
    from ev_cli.session import Session


def run(session: Session, options: Any) -> int:
    """Show the interface until it is left; the exit status."""
    settings = settings_of(configuration(options))
    _ = session.security  # a password is asked for while there is a line to type it on
    if output.colour == "never":
        os.environ["NO_COLOR"] = "1"
    options.quiet = True  # remarks would be drawn over
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("ESCDELAY", "50")

    from ev_tui.app import EvApp
    from ev_tui.terminal import Aside, Guard

    aside, guard = Aside(), Guard()
    # What is there when everything was seen once stays: to look through it for garbage again takes longer than several pictures.
    app = EvApp(session, options, settings, aside=aside, model_of=model_of_session, settled=gc.freeze)
    aside.open()
    try:
        with guard.signals(app.leave_from_signal):
            app.run(mouse=settings.mouse and not options.no_mouse)
    except BaseException as error:  # noqa: BLE001 - it is told when the terminal is what it was
        app.crash = app.crash or error
    finally:
        guard.restore()
        aside.close()
    if guard.status is not None:
        return guard.status
    if isinstance(app.crash, Exception):
        raise _as_failure(app.crash) from app.crash
    if app.crash is not None:
        raise app.crash
    return app.return_value if app.return_value is not None else DONE


def _as_failure(error: Exception) -> Failure:
    from ev_tui import crash

    path = crash.record(error)
    where = f"all of it is in {path}; please report it" if path else "EV_TRACEBACK=1 shows where; please report it"
    return Failure(f"internal error: {type(error).__name__}: {error}".splitlines()[0], where)


def model_of_session(session: Session, alerts: Alerts) -> ClusterModel:
    """The model of the session's cluster. It is imported when the first picture stands."""
    from ev_cli.model.connecting import connector
    from ev_cli.model.poller import ClusterModel

    return ClusterModel(connector(session), is_local=session.target.is_local, alerts=alerts)
