"""The commands by name with the one line that the root's help shows, so that listing them imports none."""

from __future__ import annotations

COMMANDS = {
    "produce": "Send lines from stdin, or files, to a topic.",
    "consume": "Write the records of topics to stdout.",
    "tail": "Write the newest records of topics, then whatever comes.",
    "get": "Write one record, all of it.",
    "trace": "Follow one key through the topics in the order of time.",
    "redrive": "Send dead letters back to the topics that they came from.",
    "copy": "Copy records from topics to a topic, of the same cluster or of another.",
    "topic": "Topics: their settings, their records, their copies in files.",
    "group": "Consumer groups: their lag, their members, their offsets.",
    "cluster": "Look at a cluster: its brokers, its health, what they speak and store.",
    "config": "Look at, set and unset the settings of topics, brokers, groups and client metrics.",
    "quota": "List, set and unset quotas: how much users, clients and addresses may have.",
    "txn": "List and describe transactions, and end those that hang.",
    "reassign": "Plan, run, watch and cancel moves of partitions between brokers.",
    "token": "List, create, renew and expire delegation tokens of a cluster.",
    "log": "Read the files of a data directory, of ev or of Apache Kafka, without an engine.",
    "top": "Brokers, topics with their rates, groups with their lag, at a glance.",
    "tui": "Watch an engine and work with it on the whole terminal.",
    "bench": "Measure how fast records go in, come out, and go all the way.",
    "acl": "List, add and remove the rights of principals.",
    "user": "List, add, alter and remove users, who authenticate with a password.",
    "context": "Name clusters, choose among them, and keep how to speak to them.",
    "server": "Run, start, stop and look at the local engine.",
    "undo": "Take back a change of groups, configurations or ACLs.",
    "up": "Start the local engine (server start).",
    "down": "Stop the local engine (server stop).",
    "completion": "Complete command lines in bash, zsh, fish and PowerShell.",
    "man": "Show the manual page of a command.",
    "doctor": "Look for what is wrong with the engine, its machine, or the way to a cluster.",
    "explain": "Say what an error, a setting or an exit status means, and what to do.",
    "version": "The versions of ev and of what it stands on.",
}

# Plural nouns are the noun; `ev topics` alone is `ev topic list` (see __main__).
ALIASES = {
    "topics": "topic",
    "groups": "group",
    "acls": "acl",
    "users": "user",
    "quotas": "quota",
    "txns": "txn",
    "tokens": "token",
    "contexts": "context",
}

# Nouns, whose second word is a verb; the aliases of those verbs.
NOUNS = ("topic", "group", "acl", "user", "context", "server", "cluster", "config", "quota", "txn", "reassign", "token", "log", "bench")
VERB_ALIASES = {"ls": "list", "rm": "delete"}
