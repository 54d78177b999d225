#!/usr/bin/env bash
# Start the emulator with an example handler, call it, show the answer and its log; stop it.
set -euo pipefail
cd "$(dirname "$0")/../functions"

work=$(mktemp -d)
emulator=
finish() {
  status=$?
  [[ -z $emulator ]] || { kill "$emulator" 2>/dev/null; wait "$emulator"; } || true
  [[ $status == 0 ]] || cat "$work/diary" >&2
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

event='{"name": "Lambda"}'

echo '$ rie run -- python -m bootstrap hello.handler'
rie run --listen 127.0.0.1:0 --ready-file "$work/ready" \
  -- python -m bootstrap hello.handler >"$work/log" 2>"$work/diary" &
emulator=$!
for _ in {1..200}; do
  [[ -s $work/ready ]] && break
  kill -0 "$emulator" 2>/dev/null || { echo "the emulator did not start:" >&2; exit 1; }
  sleep 0.05
done
endpoint=$(grep -oE 'http://[^"]+' "$work/ready")
echo "  takes calls at $endpoint"

echo
echo "\$ rie invoke --tail --payload '$event'"
answer=$(rie invoke --tail --payload "$event" --endpoint "$endpoint" 2>"$work/tail") || {
  echo "  failed: $answer" >&2
  cat "$work/tail" >&2
  exit 1
}
echo "  the answer:"
sed 's/^/    /' <<<"$answer"
echo "  its log:"
sed 's/^/    /' "$work/tail"
