# Handlers get records, what fails goes to dead letters and back, and a file gets each record once.

ev topic create work -p 1 --wait -q
ev topic create work-dead --wait -q
seq 6 | ev produce work
ev consume work -g each -e --each -- sh -c 'echo "got $(cat)"'
ev consume work -g each -e --each -- cat
ev consume work -g batch -e --batch 4 -- wc -l
ev consume work -g stream -e -- sort -r
ev consume work -g ack -e --ack -- sh -c 'while read -r line; do echo ok; done'
ev consume work -g env -e --each -n 1 -- sh -c 'echo "$(cat) $EV_TOPIC/$EV_PARTITION@$EV_OFFSET"'
ev consume work -g parallel -e --each --parallel 3 -- sh -c 'echo "$(cat)"' | sort

ev consume work -g stop -e --each --retries 1 --backoff 10ms -- sh -c 'test "$(cat)" -lt 3'
ev group describe stop --section lag -o tsv
ev consume work -g skip -e --each --retries 0 --on-fail skip -- sh -c 'test "$(cat)" -lt 3'
ev group describe skip --section lag -o tsv
ev consume work -g none -e --each --dlq work-none -- false
ev consume work -g dead -e --each --retries 0 --dlq work-dead -- sh -c 'test $(($(cat) % 3)) -ne 0'
ev consume work-dead -e -f '%v %h\n' | cut -d= -f1
ev redrive work-dead --dry-run --json
ev redrive work-dead -n 1
ev redrive work-dead --to work
ev redrive work-dead
ev redrive missing
ev group describe dead --section lag -o tsv
ev consume work -g dead -e --each --retries 0 --dlq work-dead -- false
ev redrive work-dead --max-replays 1
ev consume work -g slow -n 1 --each --retries 0 --exec-timeout 200ms -- sleep 20
ev consume work -g slow -e -- ./nothing
ev consume work -e --each -- cat

ev consume work -e --into all.txt
ev consume work -e --into all.txt
seq 7 8 | ev produce work
ev consume work -e --into all.txt
cat all.txt
ev consume work --into all.txt -g slow -e
ev consume work -g written -e --commit written >written.txt
ev group lag written -o tsv
