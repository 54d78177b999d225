# The kit of tests/real in bash: `handler` does what the event asks for.

count=0
read -r process </proc/sys/kernel/random/uuid # a process id would be the same everywhere

# field NAME: into $field, the scalar of that name near the start of the event. Not jq, whose
# start would be the larger part of a small invocation.
field() {
  field=''
  [[ $start =~ \"$1\"\ *:\ *(\"([^\"]*)\"|[0-9]+) ]] && field=${BASH_REMATCH[2]:-${BASH_REMATCH[1]}}
}

handler() {
  local start='' field='' do=echo
  IFS= read -r -d '' -N 200 start <"$scratch/event"
  field do && do=$field
  "do_$do"
}

do_echo() { cat; }

do_count() {
  count=$((count + 1))
  field tag
  printf '{"count": %d, "process": "%s", "tag": %d}' "$count" "$process" "${field:-0}"
}

do_context() {
  printf '{"request_id": "%s", "arn": "%s", "remaining_ms": %d, "name": "%s",' "$REQUEST_ID" \
    "$FUNCTION_ARN" $((DEADLINE_MS - ${EPOCHREALTIME/./} / 1000)) "$AWS_LAMBDA_FUNCTION_NAME"
  printf '"version": "%s", "memory": %d}' "$AWS_LAMBDA_FUNCTION_VERSION" \
    "$AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
}

do_fail() {
  local type message
  field type && type=$field
  field message && message=$field
  raise "$type" "$message"
}

do_sleep() {
  field ms
  sleep "$(printf '%d.%03d' $((field / 1000)) $((field % 1000)))"
  do_count
}

do_exit() {
  field code
  exit "$field"
}

do_size() { jq '{size: (.value | length)}'; }

do_big() {
  field n
  printf '"'
  head -c "$field" /dev/zero | tr '\0' x
  printf '"'
}

do_log() {
  jq -r '.lines[]' >&2
  printf 'null'
}
