"""An `async def` handler: handler name `async_handler.handler`.

The event loop is kept from one invocation to the next, so clients made in one (a connection pool,
a session) can be used in the next.
"""

import asyncio


async def fetch(number):
    await asyncio.sleep(0)  # stands for a request to somewhere else
    return number * number


async def handler(event, context):
    return await asyncio.gather(*(fetch(number) for number in event["numbers"]))
