"""The commands by name with the one line that the root's help shows, so that listing them imports none."""

from __future__ import annotations

COMMANDS = {
    "produce": "Send lines from stdin, or files, to a topic.",
    "consume": "Write the records of topics to stdout.",
    "topic": "Create, list, describe, alter and delete topics.",
    "group": "List, describe and delete consumer groups, with their lag.",
    "acl": "List, add and remove the rights of principals.",
    "user": "List, add, alter and remove users, who authenticate with a password.",
    "server": "Run, start, stop and look at the local engine.",
    "up": "Start the local engine (server start).",
    "down": "Stop the local engine (server stop).",
    "completion": "Complete command lines in bash, zsh, fish and PowerShell.",
    "man": "Show the manual page of a command.",
    "version": "The versions of ev and of what it stands on.",
}

# Plural nouns are the noun; `ev topics` alone is `ev topic list` (see __main__).
ALIASES = {"topics": "topic", "groups": "group", "acls": "acl", "users": "user"}

# Nouns, whose second word is a verb; the aliases of those verbs.
NOUNS = ("topic", "group", "acl", "user", "server")
VERB_ALIASES = {"ls": "list", "rm": "delete"}
