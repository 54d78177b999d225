-- Functions for the runtime beside this file.

local hello = {}

function hello.greet(event, context)
  local name = event.name or error { type = "NoName", message = 'The event has no "name"' }
  io.stderr:write("greeting ", name, " in ", context.aws_request_id, "\n")
  return { greeting = "Hello, " .. name .. "!" }
end

-- Answers with the event, however large.
function hello.echo(event)
  return event
end

-- What is kept between invocations: variables, for as long as the environment lives.
local calls = 0
function hello.count()
  calls = calls + 1
  return { calls = calls }
end

-- What a function knows about its invocation and about itself.
function hello.about(_, context)
  return {
    requestId = context.aws_request_id,
    arn = context.invoked_function_arn,
    traceId = os.getenv("_X_AMZN_TRACE_ID"),
    remainingMs = context:remaining_ms(),
    clientContext = context.client_context,
    name = context.function_name,
    version = context.function_version,
    memoryMb = math.tointeger(context.memory_limit_in_mb),
  }
end

return hello
