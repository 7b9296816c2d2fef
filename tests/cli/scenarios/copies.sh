# Topics are copied, dumped and loaded, counted, analyzed, compared, trimmed and emptied.

ev topic create src -p 2 -c retention.ms=-1 --wait -q
ev produce src -J <<'END'
{"key":"a","value":"1","headers":[["h","x"]],"timestamp":1700000000000}
{"key":"b","value":"2","headers":[],"timestamp":1700000001000}
{"key":"c","value":null,"headers":[],"timestamp":1700003601000}
{"key":"d","value":"4","headers":[],"timestamp":1700003602000}
{"key":"a","value":"5","headers":[],"timestamp":1700003603000}
END
ev topic count src -o tsv
ev topic count src --by partition -o tsv
ev topic count src --by key -o tsv
ev topic count src --by hour --json
ev topic count src --exact --since 1700003601000 -o tsv
ev topic count missing
ev topic offsets src -o tsv
ev topic offsets src --at start -o tsv
ev topic offsets src --at max-timestamp -o tsv
ev topic offsets src --at 1700003602000 -o tsv
ev topic analyze src -o json

ev copy src dst -e
ev copy src dst -e --create --same-config
ev topic diff src dst
ev consume dst -e --order time -f '%p@%o %T %k %v %S %h\n'
ev topic create one -c retention.ms=-1 --wait -q
ev copy src one -e --where 'key == "a"'
ev consume one -e -J
ev copy src dst -e --grep k:d -q
ev topic diff src dst --records -o tsv
ev copy src dst -e -g copier
ev copy src dst -e -g copier
ev group describe copier --section lag -o tsv
ev topic count dst -o tsv
ev copy missing dst -e
ev copy src dst -e --grep k:zzz

ev topic dump src dst -O both.evdump
ev topic dump src --since 1700003601000 -z none -O - >some.evdump
ev topic load - loaded --create <some.evdump
ev consume loaded -e --order time -f '%T %k\n'
ev topic load both.evdump src
ev topic delete src -y -q
ev topic load both.evdump src --create
ev config get topic/src -o tsv
ev topic count src -o tsv
ev topic load both.evdump nothing
head -c 200 both.evdump >cut.evdump
ev topic load cut.evdump

ev topic trim src -o -1 --dry-run --json
ev topic trim src -o -1 -y
ev topic offsets src --at start -o tsv
ev topic trim src -p 0 -o end -y
ev topic empty src --dry-run -o tsv
ev topic empty src
ev topic empty src -y
ev topic count src -o tsv
ev undo
