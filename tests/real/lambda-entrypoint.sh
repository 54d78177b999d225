#!/bin/sh
# Does what /lambda-entrypoint.sh of AWS's base images does, with the Python client that is
# installed. The flags are here for the tests' sake: they choose the ports.
if [ $# -ne 1 ]; then
  echo "entrypoint requires the handler name to be the first argument" >&2
  exit 142
fi
export _HANDLER="$1"

if [ -z "${AWS_LAMBDA_RUNTIME_API}" ]; then
  # shellcheck disable=SC2086 # a list of words
  exec aws-lambda-rie $EMULATOR_FLAGS "$PYTHON" -m awslambdaric "$_HANDLER"
else
  exec "$PYTHON" -m awslambdaric "$_HANDLER"
fi
