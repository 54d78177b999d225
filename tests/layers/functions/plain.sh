# shellcheck shell=bash
# A function as in AWS's tutorial, with none of bash's options: the event is its argument.
handler() {
  EVENT_DATA=$1
  echo "$EVENT_DATA" 1>&2;
  RESPONSE="Echoing request: '$EVENT_DATA'"
  echo $RESPONSE
}

returning() { return 7; }
going_on() { false; echo '"gone on"'; }
