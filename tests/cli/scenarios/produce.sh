# Records go in, in every form in which ev produce reads them, and the report says where they went.

ev topic create in keyed many --wait -q
ev produce missing --value x
ev produce made --create=2 --value x
ev produce made --create=2 --value y -q

printf 'a\n\nb\r\n\tc' | ev produce in -v
ev produce in --value text -k key -H h=1 -H 'h:2' -H none --report '%t %p %o'
printf 'k1:v1\nk2:\nnokey\n' | ev produce in -K : -Z --report '%p@%o'
printf 'one;two;three' | ev produce in -D ';'
printf 'x\0y\0' | ev produce in -0
printf '{"key":"j","value":"json","headers":[["a","b"]],"timestamp":1700000000000}\n' | ev produce in -J
printf '{"topic":"t","partition":0,"offset":1,"tstype":"create","ts":1700000000001,"key":"kcat","payload":"p","headers":["h","v"]}\n' | ev produce in -J
printf 'key,value,header.a\nc,"v,1",b\n' | ev produce in -f csv
printf 'key\tvalue\nt\tv2\n' | ev produce in -f tsv
printf '6162\n' | ev produce in -f hex
printf 'YWI=\n' | ev produce in -f base64
printf 'k v\n' | ev produce in -f '%k %v\n'
printf '1\n2\n' | ev produce in -s value=i32be
printf '\0\0\0\003abc\0\0\0\001d' | ev produce in -f lp32
printf 'whole\nfile\n' >one; printf 'other' >two
ev produce in one two
ev produce in --whole <one
ev produce in -l one -n 1
ev produce in --value '%i' --template --repeat 3
ev produce in --null NULL --timestamp 2024-01-31T12:00:00Z <<'END'
NULL
here
END
ev consume in -e -f '%o %k %K %v %S %h\n'
ev consume in -e -o 10:12 -J

printf '{"value":"good"}\nbad\n{"value":"too"}\n' | ev produce in -J
printf '{"value":"good"}\nbad\n{"value":"too"}\n' | ev produce in -J --on-error skip
printf '{"value":"good"}\nbad\n' | ev produce in -J --on-error dlq=many
ev produce in three one -E
printf 'x\n' | ev produce in -p 7
# differs: Kafka does not say how large the batch was
#   one three -err| ev: a batch of 5070 bytes; max.message.bytes is 1000 (MESSAGE_TOO_LARGE on cluster); acked 0 of 1, first unacknowledged: line 1, byte 0
#   one three +err| ev: the record batch is larger than the topic allows (MESSAGE_TOO_LARGE on cluster); acked 0 of 1, first unacknowledged: line 1, byte 0
#   one three -err| ev: line 1, byte 0: a batch of 5070 bytes; max.message.bytes is 1000 (MESSAGE_TOO_LARGE on cluster); skipped
#   one three +err| ev: line 1, byte 0: the record batch is larger than the topic allows (MESSAGE_TOO_LARGE on cluster); skipped
ev topic alter in -c max.message.bytes=1000 -q
head -c 5000 /dev/zero | tr '\0' x | ev produce in
head -c 5000 /dev/zero | tr '\0' x | ev produce in --on-error skip
ev topic count in many -o tsv

for codec in none gzip snappy lz4 zstd; do seq 100 | ev produce many -z $codec --acks 1; done
seq 1000 | ev produce many --partitioner crc32 --no-idempotence --batch-size 1000 --linger 5ms --rate 100000/s
ev consume many -e | sort -n | cksum
printf 'T\n' | ev produce many -T
printf 'k:committed\n' | ev produce many --transaction -K :
printf 'a1\na2' | ev produce many --transaction=produce-1 -v
ev consume many -e --tail 3 -f '%k=%v\n'
