# Functions for the runtime beside this file.

greet() {
  local name
  name=$(jq -r '.name // empty')
  [[ $name ]] || { raise NoName 'The event has no "name"'; return; }
  echo "greeting $name in $REQUEST_ID" >&2
  jq -cn --arg name "$name" '{greeting: "Hello, \($name)!"}'
}

# Answers with the event, byte for byte and however large.
echo_event() { cat; }

# What is kept between invocations: variables, for as long as the environment lives.
calls=0
count() {
  calls=$((calls + 1))
  printf '{"calls": %d}' "$calls"
}

# What a function knows about its invocation and about itself.
about() {
  jq -cn --arg id "$REQUEST_ID" --arg arn "$FUNCTION_ARN" --arg trace "$TRACE_ID" \
    --argjson remaining "$((DEADLINE_MS - ${EPOCHREALTIME/[.,]/} / 1000))" \
    --argjson client "${CLIENT_CONTEXT:-null}" \
    '{requestId: $id, arn: $arn, traceId: $trace, remainingMs: $remaining, clientContext: $client,
      name: env.AWS_LAMBDA_FUNCTION_NAME, version: env.AWS_LAMBDA_FUNCTION_VERSION,
      memoryMb: (env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE | tonumber)}'
}
