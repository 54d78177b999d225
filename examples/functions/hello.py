"""The smallest useful function: handler name `hello.handler`."""

GREETING = "Hello"  # code out here runs once per execution environment, in the init phase


def handler(event, context):
    name = event.get("name", "world")
    print(f"{context.get_remaining_time_in_millis()} ms left to greet {name}")
    return {"message": f"{GREETING}, {name}!", "requestId": context.aws_request_id}
