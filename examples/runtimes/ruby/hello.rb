# frozen_string_literal: true

# Functions for the runtime beside this file.

class NoName < StandardError
  def message = 'The event has no "name"'
end

def greet(event:, context:)
  name = event['name'] || raise(NoName)
  warn "greeting #{name} in #{context.aws_request_id}"
  { greeting: "Hello, #{name}!" }
end

# Answers with the event, however large.
def echo(event:, context:)
  event
end

# What is kept between invocations: variables, for as long as the environment lives.
@calls = 0
def count(event:, context:)
  { calls: @calls += 1 }
end

# What a function knows about its invocation and about itself.
def about(event:, context:)
  {
    requestId: context.aws_request_id,
    arn: context.invoked_function_arn,
    traceId: ENV['_X_AMZN_TRACE_ID'],
    remainingMs: context.get_remaining_time_in_millis,
    clientContext: context.client_context,
    name: context.function_name,
    version: context.function_version,
    memoryMb: context.memory_limit_in_mb.to_i
  }
end
