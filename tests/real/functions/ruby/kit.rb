# frozen_string_literal: true

# The kit of tests/real in Ruby: `handler` does what the event asks for.

module Kit
  # A process id would be the same in every environment.
  PROCESS = File.read('/proc/sys/kernel/random/uuid').strip

  @count = 0

  module_function

  def count(event, _context) = { count: @count += 1, process: PROCESS, tag: event['tag'] }

  def context(_event, context)
    {
      request_id: context.aws_request_id,
      arn: context.invoked_function_arn,
      remaining_ms: context.get_remaining_time_in_millis,
      name: context.function_name,
      version: context.function_version,
      memory: context.memory_limit_in_mb.to_i
    }
  end

  def fail(event, _context)
    name = event['type']
    Object.const_set(name, Class.new(StandardError)) unless Object.const_defined?(name)
    raise Object.const_get(name), event['message']
  end

  def sleep(event, context)
    Kernel.sleep(event['ms'] / 1000.0)
    count(event, context)
  end

  def exit(event, _context) = Kernel.exit(event['code'])
  def size(event, _context) = { size: event['value'].size }
  def big(event, _context) = 'x' * event['n']
  def log(event, _context) = puts(event['lines'])

  # Beyond the common kit.
  def child(_event, _context) = `printenv _X_AMZN_TRACE_ID`.chomp
  def unwritable(_event, _context) = Float::INFINITY
  def text(_event, _context) = raise('no object')

  def streams(_event, _context)
    puts 'first'
    warn 'second'
    puts 'third'
  end
end

def handler(event:, context:)
  asked = event.is_a?(Hash) && event['do']
  asked ? Kit.public_send(asked, event, context) : event
end
