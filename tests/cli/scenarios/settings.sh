# Settings of topics, brokers, groups and client metrics, and quotas, are shown, set, unset, checked, and taken back.

ev topic create set --wait -q
ev config get topic/set -o tsv
ev config set topic/set retention.ms=1000 -c segment.ms=60000
ev config get topic/set -o tsv
# differs: Kafka's log.roll.ms has no default, log.roll.hours stands for it
#   one three -out| [{"key": "segment.ms", "value": "60000", "source": "topic", "type": "long", "read_only": false, "sensitive": false, "synonyms": [{"name": "segment.ms", "value": "60000", "source": "topic"}, {"name": "log.roll.ms", "value": "604800000", "source": "default"}]}, {"key": "cleanup.policy", "value": "delete", "source": "default", "type": "list", "read_only": false, "sensitive": false, "synonyms": [{"name": "log.cleanup.policy", "value": "delete", "source": "default"}]}]
#   one three +out| [{"key": "segment.ms", "value": "60000", "source": "topic", "type": "long", "read_only": false, "sensitive": false, "synonyms": [{"name": "segment.ms", "value": "60000", "source": "topic"}]}, {"key": "cleanup.policy", "value": "delete", "source": "default", "type": "list", "read_only": false, "sensitive": false, "synonyms": [{"name": "log.cleanup.policy", "value": "delete", "source": "default"}]}]
ev config get topic/set segment.ms cleanup.policy --json
ev config set topic/set --append cleanup.policy=compact
ev config set topic/set --subtract cleanup.policy=delete
ev config get topic/set cleanup.policy -o tsv
ev config set topic/set retention.ms=2000 --dry-run -o tsv
# differs: the engine says what it would take
#   one three -err| ev: topic/set: Invalid value 'soon' for configuration retention.ms: expected a whole number from -1 to 9223372036854775807 ms (INVALID_CONFIG on cluster): `ev explain SETTING` says which values there are
#   one three +err| ev: topic/set: Invalid value soon for configuration retention.ms: Not a number of type LONG (INVALID_CONFIG on cluster): `ev explain SETTING` says which values there are
ev config set topic/set retention.ms=soon --dry-run
ev config set topic/set no.such=1
ev config set topic/missing retention.ms=1
ev config get topic/missing
ev config get topic/set no.such
ev config unset topic/set segment.ms
ev config unset topic/set segment.ms -y
ev config get topic/set -o tsv
ev undo -y
ev undo 1 -y
ev undo --list -o tsv | cut -f1,4-
ev config get topic/set -o tsv

ev config set 'broker/*' log.retention.ms=86400000
# differs: the engine has no log.dirs; there are three brokers
#   one three -err| ev: broker/1: Unknown broker settings: log.dirs (INVALID_REQUEST on cluster)
#   one three +err| ev: broker/1: Cannot update these configs dynamically: [log.dirs] (INVALID_REQUEST on cluster)
#   three -err| ev: no broker 99 on cluster: there are 1
#   three +err| ev: no broker 99 on cluster: there are 1, 2, 3
ev config set broker/1 log.dirs=/tmp
ev config set broker/99 log.retention.ms=1
ev config get broker/1 log.retention.ms -o tsv
ev undo -y
ev config get 'broker/*' log.retention.ms -o tsv
ev config set group/set-1 consumer.session.timeout.ms=50000
ev config get group/set-1 -o tsv
ev config set group/set-1 consumer.session.timeout.ms=5
ev config set client-metrics/set-2 interval.ms=60000 metrics=org.apache.kafka.producer.
ev undo -y
ev config get client-metrics/set-2 -o tsv

ev quota set --user ann producer_byte_rate=1MiB consumer_byte_rate=2M
ev quota set --user ann --client-id app request_percentage=50
ev quota set --default user producer_byte_rate=5000000
ev quota set --ip 10.1.2.3 connection_creation_rate=10
ev quota list -o tsv
ev quota list --user ann --json
ev quota list --user ann --strict -o tsv
ev quota set --user ann producer_byte_rate=2MiB --dry-run -o tsv
ev quota set --user ann connection_creation_rate=1
ev quota set --ip nowhere.invalid connection_creation_rate=1
ev quota unset --user ann producer_byte_rate -y
ev quota list --user ann --strict -o tsv
ev undo -y
ev quota unset --user ann -y
ev quota unset --user ann --client-id app -y
ev quota unset --default user -y
ev quota unset --ip 10.1.2.3 -y
ev quota list
