# What is wrong is said in one line that names the place and the way out, with the exit status of its kind.

ev -C nowhere topic list --timeout 1s
ev -C nowhere produce t --value x --timeout 1s
ev -C nowhere topic list --timeout 1s --json
ev -C absent topic list
ev -b 127.0.0.1:1 -C cluster topic list
ev -b here:port topic list
ev -b no-such-host.invalid:9092 topic list --timeout 2s
ev topic list -o pretty
ev topic list --timeout soon
ev consume t -e -X no.such=1
ev topic lists
ev topic describe
ev produce
ev -C readonly topic create wrong
ev -C readonly topic list 'wrong*' --json
ev -C protected topic create wrong --wait
EV_CONTEXT=protected ev topic delete wrong -y
ev -C protected topic delete wrong
ev -C readonly consume wrong -g g -e
ev topic delete wrong --json
ev -C protected topic delete wrong -y
ev topic describe wrong --json
ev topic list 'wrong*' >/dev/full
