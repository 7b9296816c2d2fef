"""What ev knows of a cluster that it watches: readings become rates, lag, verdicts and events.

Everything that decides is a plain function or a plain class that is given answers and the time; only `poller` asks and waits, in a
thread of its own, and leaves snapshots for whoever shows them. What is not known is None, never zero, and every rate says over how long
it was measured.
"""
