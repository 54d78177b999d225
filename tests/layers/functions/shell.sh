# shellcheck shell=bash
# Functions for the shell layer.
set -euo pipefail

count=0
declare -A kept=()

# Does what the event says: {"do": "NAME", ...}.
kit() {
  local do=${1#*\"do\": \"}
  "${do%%\"*}" "$1"
}

echo_event() { cat; }

counted() {
  count=$((count + 1)) kept[last]=$count
  printf '{"count": %d, "kept": %d, "process": "%s"}' "$count" "${kept[last]}" "$started"
}
started=$EPOCHREALTIME

context() {
  printf '{"id": "%s", "deadline": "%s", "arn": "%s", "trace": "%s", "client": %s, "identity": "%s"}' \
    "$AWS_LAMBDA_REQUEST_ID" "$AWS_LAMBDA_DEADLINE_MS" "$AWS_LAMBDA_INVOKED_FUNCTION_ARN" \
    "$_X_AMZN_TRACE_ID" "${AWS_LAMBDA_CLIENT_CONTEXT:-null}" "${AWS_LAMBDA_COGNITO_IDENTITY-unset}"
}

log() { echo "said on stderr" >&2; echo null; }

bytes() { printf '\x00\xff\n"\r'; }

big() { head -c "$(tr -dc 0-9 <<<"$1")" /dev/zero | tr '\0' x; }

raised() {
  deeper "$1"
}
deeper() {
  raise My.Error "$(printf 'tab\t "quotes" \\ \x01\x1b ž 漢 😀\nnew line')"; return
}
raised_bytes() { raise "Any type at all: ž" $'\xff \xc5\xbe \xed\xa0\x80'; }
raised_and_gone_on() { raise Mine "I said so" || true; echo '"an answer"'; }

failing() { false; echo "this is not reached"; }
pipe_failing() { false | cat; }
unset_variable() { echo "${no_such_variable}"; }
leaving() { exit 3; }
temporary() { printf '"%s"' "$(ls -A /tmp)"; }

left_over() {
  if [[ ! -e /tmp/begun ]]; then
    touch /tmp/begun
    # It has this invocation's stdout, and writes to it in the next one.
    { until [[ -e /tmp/go ]]; do sleep 0.01; done; echo "left over"; touch /tmp/done; } &
    echo 1
  else
    touch /tmp/go
    until [[ -e /tmp/done ]]; do sleep 0.01; done
    echo 2
  fi
}

in_the_way() {
  # What a function may do to its shell without harm to the next invocation.
  cd / && IFS=x && set -f && shopt -s nullglob
  curl() { echo no; }; rm() { echo no; }; post() { echo no; }; next() { echo no; }
  alias printf=false
  echo 1
}
