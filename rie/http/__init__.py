"""HTTP/1.1 over asyncio (uvloop) and httptools: a server that has never heard of Lambda.

message.py has the values, server.py what to start, routing.py how a path finds its endpoint,
listening.py the socket. Nothing is imported here: listening.py is wanted before anything heavy.
"""
