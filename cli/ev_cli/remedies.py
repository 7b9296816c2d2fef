"""What to do about each of Kafka's error codes and each exit status, for `ev explain`. What they mean stands in ev.errors and here."""

from __future__ import annotations

LATER = "It passes by itself: clients try again. If it does not pass, look at the broker's log."
REFRESH = "The client asks for the metadata anew and tries again by itself; if it goes on, a client or a broker holds old metadata."
LEADER = "Clients find the new leader by themselves. If it lasts, a broker is down: `ev topic describe --unavailable`."
REJOIN = "Members join again by themselves. If it happens often, one takes longer than max.poll.interval.ms or session.timeout.ms."
RIGHT = "Ask whoever runs the cluster for the right, or add it: `ev acl add`. `ev context show` says who you are."
CLIENT_BUG = "The client is at fault: update it. On ev, `ev server logs` says what was wrong."
CLUSTER_INTERNAL = "Brokers say this to each other. A client that gets it speaks to something that is no broker, or to a controller."
FENCED = "Only one may use the name at a time: stop the other one, or give this one a transactional.id of its own."
VOTERS = "It is about the quorum of controllers: look at who is in it with `ev cluster quorum`."
TOKENS = "Look at the tokens with `ev token list`; make a new one with `ev token create`."
SHARE = "The share consumer begins a new session by itself. If it goes on, update the client."
STREAMS = "It is about groups of Kafka Streams: give all members the same topology, and restart them."

_BY_CODES: tuple[tuple[tuple[int, ...], str], ...] = (
    ((-1,), "Look at the broker's log (`ev server logs`), and report it when it can be repeated."),
    ((0,), "Nothing is wrong."),
    ((1,), "The records have been deleted, or the offset is past the end: `ev topic offsets` shows what is there; `ev group seek` moves."),
    ((2,), "Send it again. If it is read: `ev server verify` finds the damage; a compacted topic takes no record without a key."),
    ((3,), "Look for the name with `ev topic list`; create it with `ev topic create`. Right after its creation it passes by itself."),
    ((4,), "Set fetch.max.bytes and max.partition.fetch.bytes to numbers above 0."),
    ((5, 6, 9, 80), LEADER),
    ((7,), "Give it more time (--timeout), and look whether the broker is busy, or too few replicas are in sync."),
    ((8, 13), "Look whether the broker runs and the network lets you there: `ev doctor`. Clients try again."),
    ((10, 18), "Send smaller batches (--batch-size), or raise max.message.bytes of the topic: `ev topic alter T -c max.message.bytes=N`."),
    ((11, 77, 41, 101, 102, 104, 116, 119), CLUSTER_INTERNAL),
    ((12, 28), "Commit less text with the offset: offset.metadata.max.bytes is the most."),
    ((14, 15, 16), LATER),
    ((17,), "A name has 1 to 249 letters (a-z, A-Z), digits, dots, underscores and dashes, and something else than one or two dots."),
    ((19, 20), "Bring the missing brokers back, or lower min.insync.replicas: `ev topic describe --under-min-isr`."),
    ((21,), "Use --acks all, 1 or 0."),
    ((22, 25, 27, 79, 110, 113), REJOIN),
    ((23, 112), "Let all members of the group use the same assignor: `ev group describe`."),
    ((24,), "A group id is not empty: give -g NAME."),
    ((26,), "Set session.timeout.ms between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms."),
    ((29,), f"The principal needs a right to the topic (Read, Write, Describe or Create). {RIGHT}"),
    ((30,), f"The principal needs Read on the group. {RIGHT}"),
    ((31,), f"The principal needs a right to the cluster, like Alter, Create or ClusterAction. {RIGHT}"),
    ((53,), f"The principal needs Write on the transactional id. {RIGHT}"),
    ((65,), f"The principal needs Describe on the token. {RIGHT}"),
    ((32,), "Give records timestamps near the broker's clock, or widen message.timestamp.before.max.ms and …after.max.ms of the topic."),
    ((33,), "Use one of the mechanisms that the broker names: sasl.mechanism of the context (`ev context edit --mechanism`)."),
    ((34, 42), CLIENT_BUG),
    ((35,), "The broker is older or newer than the client: `ev cluster api-versions` shows what it speaks; update one of them."),
    ((36,), "Take another name, or say --if-not-exists."),
    ((37,), "Give 1 partition or more; their number can only grow."),
    ((38,), "Ask for as many replicas as there are brokers at most: `ev cluster brokers`. An ev engine has 1."),
    ((39,), "Name each broker once, and only brokers that there are: `ev cluster brokers`."),
    ((40,), "`ev explain SETTING` says which values there are."),
    ((43,), "The topic's message.format.version is too old for headers, keys of compaction or transactions: raise it."),
    ((44,), "Ask whoever runs the cluster which policy it is; the broker's message says more."),
    ((45, 46, 59), "The producer begins anew by itself (it is idempotent). In a transaction: abort it, and repeat it."),
    ((47, 90), FENCED),
    ((48,), "Begin, send and commit in this order, and only once each; after a failure abort first."),
    ((49,), "The transactional id has expired, or belongs to a newer producer: begin anew with a new producer."),
    ((50,), "Set transaction.timeout.ms below the broker's transaction.max.timeout.ms."),
    ((51,), "The producer waits and tries again by itself. If it lasts: `ev txn list` shows what is open."),
    ((52,), "Only brokers get this; it passes by itself."),
    ((54,), "Switch the authorizer on (authorizer.class.name) before ACLs are set."),
    ((55,), "Mend the part of the request that failed; this one was fine."),
    ((56,), "Look at the disk: `ev doctor`, `ev server logs`. A disk that failed needs a person; ev ends with status 74."),
    ((57,), "Name a directory of log.dirs: `ev cluster logdirs`."),
    ((58,), "Check user, password and mechanism: `ev context check`, `ev user list`."),
    ((60, 85), "`ev reassign list` shows which reassignments there are."),
    ((61, 62, 63, 66), TOKENS),
    ((64,), "Make tokens at a connection that is authenticated by SASL or by a certificate, and not by a token itself."),
    ((67,), "Principals of tokens begin with User:."),
    ((68,), "Stop the members of the group first: `ev group describe --section members`."),
    ((69,), "Look for the name with `ev group list`."),
    ((70, 71, 106), "The consumer begins a new fetch session by itself."),
    ((72,), "Give all brokers a listener of the same name (listeners, advertised.listeners)."),
    ((73,), "Set delete.topic.enable=true on the broker."),
    ((74, 75, 78, 100, 103, 129), REFRESH),
    ((76,), "Use a codec that the broker and the topic know: -z gzip, snappy, lz4 or zstd."),
    ((81,), "Use fewer members, or raise group.max.size."),
    ((82, 111), "Give each member a group.instance.id of its own, and wait until the session of the old one has ended."),
    ((83,), "Bring a broker back that was in sync: `ev topic describe --unavailable`. An unclean election loses records."),
    ((84,), "Nothing: the preferred replica leads already."),
    ((86,), "Unsubscribe the members first; then the offsets can be deleted."),
    ((87,), "The message names the records: most often a record without a key for a compacted topic."),
    ((88,), "It passes when the open transaction ends: `ev txn list` shows which."),
    ((89,), "Slow down, or raise the quota: `ev quota list`."),
    ((91,), "Look for the name in the list of such things, for example `ev user list` or `ev quota list`."),
    ((92,), "Name each thing once in one request."),
    ((93,), "A password is not empty, and hashed 4096 to 16384 times (--iterations)."),
    ((94, 125, 126, 127), VOTERS),
    ((95, 96), "`ev cluster features` shows which versions there can be, and which there are."),
    ((97,), CLUSTER_INTERNAL),
    ((98, 99), CLUSTER_INTERNAL),
    ((105,), "`ev txn list` shows which transactional ids there are."),
    ((107, 108), "It passes by itself; if not, look at the brokers' logs."),
    ((109,), "The consumer reads it from the tiered storage by itself; an old client cannot: update it."),
    ((114, 115), "Use the address of a broker for what is asked of brokers, and that of a controller for what is asked of controllers."),
    ((117, 118), "The client asks for its telemetry subscription anew by itself; `ev config get client-metrics/NAME` shows it."),
    ((120,), "Abort the transaction, and repeat it."),
    ((121,), "The record was acknowledged, released or given to another one already; the share consumer goes on."),
    ((122, 123, 124, 133), SHARE),
    ((128,), "The broker reads expressions of RE2 for a subscription: write one that it knows."),
    ((130, 131, 132), STREAMS),
)  # fmt: skip

REMEDIES: dict[int, str] = {code: text for codes, text in _BY_CODES for code in codes}
"""What to do, by Kafka's code."""

EXIT_REMEDIES: dict[int, str] = {
    0: "Nothing is wrong.",
    1: "The line on stderr says what; with several, each has one.",
    2: "The line on stderr names the place; `ev COMMAND --help` shows what there is; -y answers questions where nobody can be asked.",
    3: "The line on stderr names the nearest one; `list` of the same noun shows all.",
    4: "`ev doctor` looks for the cause; --timeout gives it more time.",
    5: "`ev context check` says which; then mend the password, the certificate or the ACL.",
    6: "It is an answer, not a failure: what was found is on stdout.",
    7: "Mend it and run the command again; what was not handled was not committed.",
    8: "Nothing was changed.",
    74: "Look at the disk and the log (`ev server logs`), then `ev server start`.",
    126: "chmod +x it, or name its interpreter.",
    127: "Write its path, or look at PATH.",
    130: "Nothing is wrong: what was done until then is done.",
    141: "Nothing is wrong: `| head` ends so.",
    143: "Nothing is wrong: what was done until then is done.",
}
"""What to do, by exit status."""
