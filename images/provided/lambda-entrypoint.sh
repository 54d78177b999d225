#!/bin/sh
# Starts the function: by the emulator, or, where a Runtime API is there (on AWS), by itself.
if [ $# -ne 1 ]; then
  echo "entrypoint requires the handler name to be the first argument" >&2
  exit 142
fi
export _HANDLER="$1"

# Where Lambda looks for one in an archive of code and in layers, after an image's own place.
for bootstrap in /var/runtime/bootstrap /var/task/bootstrap /opt/bootstrap /var/runtime/bootstrap; do
  [ ! -e "$bootstrap" ] || break
done

if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /usr/local/lib/rie/aws-lambda-rie "$bootstrap"
fi
exec "$bootstrap"
