-- The kit of tests/real in Lua: `handler` does what the event asks for.

local socket = require "socket"

-- A process id would be the same in every environment.
local process = io.open("/proc/sys/kernel/random/uuid"):read()
local count = 0
local kit = {}

function kit.count(event)
  count = count + 1
  return { count = count, process = process, tag = event.tag }
end

function kit.context(_, context)
  return {
    request_id = context.aws_request_id,
    arn = context.invoked_function_arn,
    remaining_ms = context:remaining_ms(),
    name = context.function_name,
    version = context.function_version,
    memory = math.tointeger(context.memory_limit_in_mb),
  }
end

function kit.fail(event)
  error { type = event.type, message = event.message }
end

function kit.sleep(event)
  socket.sleep(event.ms / 1000)
  return kit.count(event)
end

function kit.exit(event)
  os.exit(event.code)
end

function kit.size(event)
  return { size = #event.value }
end

function kit.big(event)
  return ("x"):rep(event.n)
end

function kit.log(event)
  for _, line in ipairs(event.lines) do
    print(line)
  end
end

-- Beyond the common kit.

function kit.child()
  return io.popen("printenv _X_AMZN_TRACE_ID"):read()
end

function kit.streams()
  print("first")
  io.stderr:write("second\n")
  print("third")
end

function kit.unwritable()
  return math.huge
end

function kit.text()
  error("no object", 0)
end

return {
  handler = function(event, context)
    local asked = type(event) == "table" and event["do"]
    return asked and kit[asked](event, context) or not asked and event or nil
  end,
}
