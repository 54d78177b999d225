"""Returns its event: handler name `echo.handler`. Good for trying payloads of all kinds."""


def handler(event, context):
    return event
