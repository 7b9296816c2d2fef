# ACLs and users are added, listed, altered and removed, and who may not do a thing is told so.

# differs: Kafka's brokers say the same in other words
#   one three -err| ev: not authorized for the cluster (CLUSTER_AUTHORIZATION_FAILED on alice): the principal needs a right to the cluster, like Alter, Create or ClusterAction
#   one three +err| ev: Request REQUEST needs DESCRIBE permission (CLUSTER_AUTHORIZATION_FAILED on alice): the principal needs a right to the cluster, like Alter, Create or ClusterAction
#   one three -err| ev: not authorized for that topic (TOPIC_AUTHORIZATION_FAILED on alice): the principal needs a right to the topic (Read, Write, Describe or Create)
#   one three -err| ev: not authorized for that topic (TOPIC_AUTHORIZATION_FAILED on alice): the principal needs a right to the topic (Read, Write, Describe or Create)
#   one three +err| ev: Topic authorization failed (TOPIC_AUTHORIZATION_FAILED on alice): the principal needs a right to the topic (Read, Write, Describe or Create)
#   one three +err| ev: Topic authorization failed (TOPIC_AUTHORIZATION_FAILED on alice): the principal needs a right to the topic (Read, Write, Describe or Create)
#   one three -err| ev: not authorized for that group (GROUP_AUTHORIZATION_FAILED on alice): the principal needs Read on the group
#   one three +err| ev: Group authorization failed (GROUP_AUTHORIZATION_FAILED on alice): the principal needs Read on the group
#   one three -err| ev: the transaction of 'guarded-1' and its producer are at their end: TRANSACTIONAL_ID_AUTHORIZATION_FAILED: not authorized for that transactional id
#   one three +err| ev: the transaction of 'guarded-1' and its producer are at their end: TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Transactional Id authorization failed.
#   one three -err| ev: guarded-1: not authorized for that topic (TOPIC_AUTHORIZATION_FAILED on alice): the principal needs a right to the topic (Read, Write, Describe or Create)
#   one three +err| ev: guarded-1: Topic authorization failed (TOPIC_AUTHORIZATION_FAILED on alice): the principal needs a right to the topic (Read, Write, Describe or Create)

ev topic create guarded-1 guarded-2 --wait -q
seq 3 | ev produce guarded-1
ev -C alice consume guarded-1 -e
ev -C alice topic list 'guarded-*'
ev -C alice topic describe guarded-1
ev -C alice produce guarded-1 --value x
ev -C alice topic create guarded-3
ev -C alice group list
ev -C alice acl list
ev -C alice user list
ev -C alice config get topic/guarded-1
ev -C stranger topic list
ev -C stranger produce guarded-1 --value x
ev -C stranger consume guarded-1 -e

ev acl add --principal alice --operation read,describe --topic guarded-1
ev acl add --principal alice --operation read --group 'guarded-' --prefixed
ev acl add --principal alice --operation all --topic guarded- --prefixed --dry-run -o tsv
ev acl add --principal alice --operation write --topic guarded-2 --deny --host 10.1.2.3
ev acl add --operation read --topic guarded-1
ev acl list --principal alice -o tsv
ev acl list --topic guarded-1 --json
until ev -C alice topic list -o name | grep -q guarded-1; do sleep 0.1; done
ev -C alice topic list 'guarded-*' -o name
ev -C alice consume guarded-1 -e -g guarded-1
ev -C alice group describe guarded-1 --section lag -o tsv
ev -C alice consume guarded-1 -e -g private
ev -C alice consume guarded-1 guarded-2 -e
ev -C alice produce guarded-1 --value x
ev -C alice produce guarded-1 --value x --transaction=guarded-1
ev -C alice topic delete guarded-1 -y
ev -C alice topic alter guarded-1 -p 2
ev -C alice config set topic/guarded-1 retention.ms=1
ev -C alice group seek guarded-1 --to start -y
ev -C alice group delete guarded-1 -y
ev acl remove --principal alice --topic guarded-1 --dry-run -o tsv
ev acl remove --principal alice -y
ev acl remove --principal alice -y
ev acl list --principal alice
ev undo -y
ev acl list --principal alice -o tsv
ev acl remove --principal alice -y

ev user add bob --password-command 'echo secret' --mechanism SCRAM-SHA-512 --iterations 5000
ev user add bob --password-command 'echo secret'
ev user add carol --iterations 1 --password-command 'echo secret'
echo secret | ev user add carol --password-stdin
ev user list bob carol -o tsv
ev user list 'c*' --json
echo other | ev user alter carol --password-stdin --mechanism SCRAM-SHA-256
ev user alter nobody --password-command 'echo secret'
ev user remove carol --mechanism SCRAM-SHA-256 --dry-run -o tsv
ev user remove carol --mechanism SCRAM-SHA-256 -y
ev user list carol -o tsv
ev user remove bob carol -y
ev user remove bob -y

# differs: Kafka could have tokens, the engine has none
#   one three -err| ev: delegation tokens are not supported by alice: its brokers do not know them
#   one three +err| ev: delegation tokens are not supported by alice: its brokers have no delegation.token.secret.key
ev -C alice token list
