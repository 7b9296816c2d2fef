"""ev tui: the interface on a whole terminal. It draws what ev_cli.model knows; `start` is the door.

start       from the command to the application and back, with the terminal as it was
app         the application: where one is, and what keys do everywhere
pages       which screens there are, by name and key
page        what every screen has: the bar above, the command below, the keys
screens/    one file a screen
widgets/    what screens are made of
harmless    nothing that came from a cluster reaches the terminal as anything but text
"""
