# Transactions are listed, described and aborted; readers see what is committed, and with a flag the rest.

ev topic create txn-1 --wait -q
printf 'a\nb\n' | ev produce txn-1 --transaction=txn-a
ev consume txn-1 -e
ev consume txn-1 -e --control -f '%o %v\n'
until ev txn list txn-a -o tsv | grep -q CompleteCommit; do sleep 0.1; done
ev txn list -r 'txn-.' --json
ev txn describe txn-a --json
ev txn producers txn-1 --json
ev txn producers txn-1 --open
ev txn describe missing
ev txn producers missing
ev txn producers txn-1:7

mkfifo lines
: >said
ev produce txn-1 --transaction=txn-b -v <lines 2>said &
exec 3>lines
echo open >&3
while ! grep -q txn-1 said; do sleep 0.05; done
ev txn list --state ongoing -o tsv | cut -f1,2
ev txn list 'txn-*' --open-for 1h
ev txn producers txn-1 --open -o tsv | cut -f1,4
ev consume txn-1 -e
ev consume txn-1 -e --read-uncommitted
ev txn list --hanging
ev txn abort txn-b
ev txn abort txn-b --dry-run -o tsv | cut -f1,2
ev txn abort txn-b -y
ev txn abort missing -y
echo more >&3
exec 3>&-
wait
# differs: Kafka does not say which epochs
#   one three -out| ev: producer ID has epoch 1 here, the batch came from epoch 0 (INVALID_PRODUCER_EPOCH on cluster); the transaction was aborted, none of 2 records count
#   one three +out| ev: a newer producer with the same id has taken over (INVALID_PRODUCER_EPOCH on cluster); the transaction was aborted, none of 2 records count
grep -v → said
ev txn describe txn-b --json
ev consume txn-1 -e
ev consume txn-1 -e --control --read-uncommitted -f '%o %v\n'
printf '{"value":"c"}\nbad\n' | ev produce txn-1 --transaction=txn-a -J
ev copy txn-1 txn-2 -e --create -g txn-copy
ev topic count txn-2 --exact -o tsv
ev topic count txn-1 --exact -o tsv
ev topic count txn-1 -o tsv
