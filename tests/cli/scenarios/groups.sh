# Groups resume where they stopped; their lag is shown; they are moved, cloned, forgotten, deleted, and it is all taken back.

ev topic create g1 -p 2 --wait -q
ev topic create g2 --wait -q
seq 10 | ev produce g1 -p 0
seq 10 | ev produce g1 -p 1
seq 5 | ev produce g2
ev consume g1 -p 0 -g reader
ev consume g2 -g reader -n 2
ev consume g1 g2 -g reader -e --order time | wc -l
seq 3 | ev produce g2
ev consume -g reader -e
ev consume -g nobody -e
ev consume g2 -g ends -o end -e
ev consume g2 -g other -e --commit none | wc -l
ev consume g2 -g other -e -X group.protocol=consumer | wc -l
ev consume g2 -g static -e --instance-id one --balancer cooperative-sticky | wc -l
seq 2 | ev produce g2

ev group list reader other static nobody -o tsv
ev group list -r 're.*' --json
ev group list reader other static --lagging -o name
ev group list reader other --state dead
ev group describe reader --json
ev group describe nobody
ev group lag reader other --by partition -o tsv
ev group lag reader --by topic --json
ev group lag reader other --max 1 -o tsv
ev group wait reader --lag 2
ev group wait reader --lag 0 --for 300ms
ev group wait reader --state empty
ev group wait nobody --lag 0 --for 300ms

ev group seek reader --to start -t g2 --dry-run -o tsv
ev group seek reader --to start -t g2 -y
ev group seek reader --to +3 -t g2 -y
ev group seek reader --to 2 -t g1:1 -y
ev group seek reader --to @1700000000000 -t g1:0 -y
ev group seek reader --export -o tsv >saved
cat saved
ev group seek reader --to end -y
ev group seek reader --to-file saved -y
ev undo -y
ev group seek reader --to-group other -y
ev group seek nobody --to start -t g1 -y
ev group seek fresh --to start -t g1 --new-topics -y
ev group describe reader fresh --section lag -o tsv

ev group forget reader -t g1:1 --dry-run -o tsv
ev group forget reader -t g1 -y
ev undo -y
ev group forget reader -t missing -y
ev group clone reader reader-2
ev group clone nobody reader-3
ev group clone reader fresh
ev group delete reader-2 fresh --dry-run -o tsv
ev group delete reader-2 fresh -y
ev undo -y
ev group list reader-2 fresh -o tsv

ev consume g1 -g busy -e | wc -l
ev consume g1 -g busy -n 1 --for 60s &
ev group wait busy --state stable --for 20s
ev group seek busy --to start -y
ev group delete busy -y
ev group forget busy -t g1 -y
ev group remove-member busy ev --dry-run -o tsv | cut -f3,5
ev produce g1 --value end
wait
