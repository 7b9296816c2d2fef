# The cluster says what it is, what its brokers store and speak; leaders are elected, and partitions moved.

ev topic create cluster-1 -p 4 --wait -q
# differs: there are three brokers, and each has a replica of every partition
#   three -out| {"healthy": true, "controller": N, "brokers": [1], "brokers_away": [], "leaderless": [], "under_min_in_sync": [], "under_replicated": [], "reachable": true}
#   three +out| {"healthy": true, "controller": N, "brokers": [1, 2, 3], "brokers_away": [], "leaderless": [], "under_min_in_sync": [], "under_replicated": [], "reachable": true}
#   three -out| brokers that are there	yes	1
#   three +out| brokers that are there	yes	1,2,3
#   three +out| 2	-
#   three +out| 3	-
#   three +out| 2
#   three +out| 3
ev cluster info --json | tr ',' '\n' | grep -e controller -e metadata
ev cluster brokers -o tsv | cut -f1,4
ev cluster health --json
ev cluster health --exit-when-healthy --for 20s
ev cluster quorum -o tsv | cut -f1

# differs: the engine has one log of metadata and no share groups and no groups of Streams
#   one three +out| eligible.leader.replicas.version	1	0	1
#   one three +out| kraft.version	0	0	1
#   one three +out| share.version	1	0	1
#   one three +out| streams.version	1	0	1
ev cluster features -o tsv
ev cluster api-versions 1 -o tsv | head -n 30

# differs: there are three brokers
#   three -err| ev: no broker 99 on cluster: there are 1
#   three -err| ev: no broker 99 on cluster: there are 1
#   three +err| ev: no broker 99 on cluster: there are 1, 2, 3
#   three +err| ev: no broker 99 on cluster: there are 1, 2, 3
#   three +out| cluster-1	0	2
#   three +out| cluster-1	0	3
#   three +out| cluster-1	1	2
#   three +out| cluster-1	1	3
#   three +out| cluster-1	2	2
#   three +out| cluster-1	2	3
#   three +out| cluster-1	3	2
#   three +out| cluster-1	3	3
ev cluster api-versions 99
ev cluster logdirs -t cluster-1 --by partition -o tsv | cut -f1-3
ev cluster logdirs -t missing
ev cluster logdirs 99
ev cluster elect-leaders cluster-1 --dry-run
ev cluster elect-leaders cluster-1 -y
ev cluster elect-leaders missing -y
ev top -n 1 --json | tr ',' '\n' | grep -c topic
ev topic describe --under-replicated --unavailable --under-min-isr -o tsv

# differs: only where there are several brokers is there something to move
#   three +out| cluster-1:0	1
#   three +out| cluster-1:1	1
#   three +out| cluster-1:2	1
#   three +out| cluster-1:3	1
#   three -err| ev: no broker 9 on cluster: there are 1
#   three +err| ev: no broker 9 on cluster: there are 1, 2, 3
#   three -err| ev: 4 replicas need as many brokers, and there are 1: name more with --brokers, or give --replication-factor
#   three +err| ev: 4 replicas need as many brokers, and there are 3: name more with --brokers, or give --replication-factor
ev reassign list
ev reassign plan cluster-1 --brokers 1 --replication-factor 1 -O plan.json -o tsv 2>plan.err | cut -f1,3
ev reassign plan cluster-1 --brokers 9
ev reassign plan cluster-1 --replication-factor 4
ev reassign plan missing
ev reassign run plan.json --dry-run 2>&1 | tail -n 1
ev reassign run plan.json --rollback back.json --wait -y -q
ev topic describe cluster-1 -o tsv | cut -f1-5
# differs: it went, and came back
#   three +err| ev: moving cluster-1:0 on cluster
#   three +err| ev: moving cluster-1:1 on cluster
#   three +err| ev: moving cluster-1:2 on cluster
#   three +err| ev: moving cluster-1:3 on cluster
#   three -err| ev: all 0 have moved on cluster
#   three +err| ev: all 4 have moved on cluster
ev reassign run back.json --wait -y
ev reassign run absent.json -y
echo '{}' | ev reassign run - -y
ev reassign cancel cluster-1 -y
