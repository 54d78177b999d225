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
