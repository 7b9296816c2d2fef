# Records come out in every form, from every place, filtered and in order; one record is got, the newest are tailed, a key is traced.

ev topic create c1 -p 1 -c retention.ms=-1 --wait -q
ev topic create c3 -p 3 -c retention.ms=-1 --wait -q
ev topic create other -p 2 -c retention.ms=-1 --wait -q
ev produce c1 -J <<'END'
{"key":"a","value":"{\"n\":1,\"user\":{\"id\":7}}","headers":[["h","x"]],"timestamp":1700000000000}
{"key":"b","value":"{\"n\":2}","headers":[],"timestamp":1700000001000}
{"key":null,"value":null,"headers":[["e",null]],"timestamp":1700000002000}
{"key":"a","value_b64":"//4A","headers":[["h",{"b64":"/w=="}]],"timestamp":1700000003000}
{"key":"c","value":"last","headers":[],"timestamp":1700000004000}
END
for partition in 0 1 2; do
    printf 'p%s-%s\n' $partition 1 $partition 2 | ev produce c3 -p $partition --timestamp $((1700000010000 + partition))
done
printf 'a:elsewhere\n' | ev produce other -K : --timestamp 1700000000500

ev consume c1 -e -J
ev consume c1 -e -f kv -K '|' --null NULL
ev consume c1 -e -f pretty --utc
ev consume c1 -e -f raw | od -c
ev consume c1 -e -f lp32 | cksum
ev consume c1 -e -f '%t %p %o %k %s %T %h\n'
ev consume c1 -e --fields key,offset
ev consume c1 -e --embed-json -n 2
ev consume c1 -e -O -n 2

ev consume c1 -o 1:3 -f '%o\n'
ev consume c1 -o -2 -e -f '%o\n'
ev consume c1 -o end -e
ev consume c1 --since 1700000001000 --until 1700000003000 -f '%o\n' -e
ev consume c1 -o @1700000003000 -e -f '%o\n'
ev consume c3 -e -p 1-2 --order time
ev consume c3 -e --per-partition 1 --order time
ev consume c3 -e --tail 2
ev consume c3 -p 9 -e
ev consume -r 'c[13]' -e -n 11 -f '%t\n' | sort | uniq -c
ev consume c3 -n 7 --idle 3s --order time
ev consume c3 -o end -n 1 --for 1s
ev consume missing -e

ev consume c1 -e --grep k:a -f '%o\n'
ev consume c1 -e --grep '!k:a' -f '%o\n'
ev consume c1 -e --grep h:h=x -f '%o\n'
ev consume c1 -e --where 'value.user.id == 7' -f '%o\n'
ev consume c1 -e --where 'key == "a" and offset > 0' -f '%o\n'
ev consume c1 -e --key a -f '%o\n'
ev consume c1 -e --grep v:nothing

ev get c1/0/0
ev get c1/0/-1 -f value
ev get c1/0/99
ev get c1/7/0
ev get missing/0/0
ev tail c1 -n 2 -J
ev tail c3 other -e --tail 3 -f '%v\n'
ev trace a c1 other -J
ev trace a c1 other --utc
ev trace nobody c1
ev trace b c1 --all-partitions -n 1 -J
