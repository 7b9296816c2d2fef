# Topics are created, listed, described, altered, cloned, compared and deleted.

ev topic create topics-a -p 3 -c retention.ms=3600000 --wait
ev topic create topics-b topics-c --compact --wait
ev topic create topics-a
ev topic create topics-a --if-not-exists
# differs: the engine names the setting that was probably meant
#   one three -err| ev: topics-d: Unknown topic config name: retention; did you mean retention.ms? (INVALID_CONFIG on cluster): `ev explain SETTING` says which values there are
#   one three +err| ev: topics-d: Unknown topic config name: retention (INVALID_CONFIG on cluster): `ev explain SETTING` says which values there are
ev topic create topics-d -c retention=1
# differs: each has its own words for how many brokers there are
#   one three -err| ev: topics-d: Unable to replicate the partition 9 time(s): this engine has one broker (INVALID_REPLICATION_FACTOR on cluster): ask for as many replicas as there are brokers at most: `ev cluster brokers`
#   one +err| ev: topics-d: Unable to replicate the partition 9 time(s): The target replication factor of 9 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned (INVALID_REPLICATION_FACTOR on cluster): ask for as many replicas as there are brokers at most: `ev cluster brokers`
#   three +err| ev: topics-d: Unable to replicate the partition 9 time(s): The target replication factor of 9 cannot be reached because only 3 broker(s) are registered or some brokers have all their log directories cordoned (INVALID_REPLICATION_FACTOR on cluster): ask for as many replicas as there are brokers at most: `ev cluster brokers`
ev topic create topics-d -r 9
ev topic create topics-d -p 2 -r 1 --dry-run --json

ev topic list 'topics-*' -o name
# differs: three brokers have three replicas, unless they are told otherwise
#   three -out| topics-a	3	1
#   three -out| topics-b	1	1
#   three +out| topics-a	3	3
#   three +out| topics-b	1	3
#   three -out| [{"name": "topics-b", "partitions": 1, "replicas": 1, "records": 0, "size": 0, "policy": "compact", "retention_ms": 604800000, "last_write": null}]
#   three +out| [{"name": "topics-b", "partitions": 1, "replicas": 3, "records": 0, "size": 0, "policy": "compact", "retention_ms": 604800000, "last_write": null}]
ev topic list -r 'topics-[ab]' -o tsv
ev topic list topics-b --json
ev topic list nothing
ev topic list nothing --json
ev topic describe topics-a -o tsv | cut -f1,2
ev topic describe topics-a topics-x >/dev/null

ev topic alter topics-a -p +1 -c retention.ms=7200000 --dry-run -o csv
ev topic alter topics-a -p +1 -c retention.ms=7200000 -c cleanup.policy=compact
ev topic alter topics-a -p 2
ev topic alter topics-a --append cleanup.policy=delete --unset retention.ms
ev topic alter topics-a
ev topic alter topics-x -c retention.ms=1
ev config get topic/topics-a -o tsv
ev undo --list -o tsv | cut -f4
ev undo -y

ev topic clone topics-a topics-e
ev topic create topics-f --like topics-b --wait
ev topic diff topics-a topics-e --config
ev topic diff topics-a topics-f
cat >topics.toml <<'END'
[topics.topics-b]
partitions = 2
config = { "cleanup.policy" = "compact", "retention.ms" = "1000" }
[topics.topics-g]
partitions = 2
END
ev topic apply topics.toml --dry-run -o tsv
ev topic apply topics.toml -y
ev topic apply topics.toml --dry-run

ev topic delete topics-b
ev topic delete topics-b topics-c --dry-run -o tsv
ev topic delete topics-b topics-c -y
ev topic delete topics-b -y
ev topic delete topics-b --if-exists -y
ev topic delete -r 'topics-.*' -y
ev topic list 'topics-*'
