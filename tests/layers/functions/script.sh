#!/bin/bash
# An executable handler of the shell layer.
event=$(cat)
case $event in
  *own*) echo '  {"errorMessage": "my own", "errorType": "Own"}'; exit 4 ;;
  *fail*) echo 'not an error document'; exit 4 ;;
  *) printf '{"event": %s, "id": "%s"}' "$event" "$AWS_LAMBDA_REQUEST_ID" ;;
esac
