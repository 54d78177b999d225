"""Every quota of Lambda that this project keeps to, each with its source.

Sizes are in bytes unless the name says MB, times in seconds.
"""

MIB = 1024 * 1024

# "Invocation payload (request and response): 6 MB each" — Lambda developer guide, Quotas.
# The invoke API counts exactly 6 MiB; it names the number in RequestTooLargeException.
MAX_REQUEST_PAYLOAD = 6 * MIB

# The Runtime API adds 100 bytes for the response: the number is in its own 413 message.
MAX_RESPONSE_PAYLOAD = 6 * MIB + 100

# "1 MB asynchronous" — Lambda developer guide, Quotas (256 KB until October 2025).
MAX_EVENT_PAYLOAD = MIB

# "ClientContext: up to 3,583 bytes of base64-encoded data" — API reference, Invoke.
MAX_CLIENT_CONTEXT = 3583

# X-Amz-Log-Result holds "the last 4 KB of the execution log" — API reference, Invoke.
LOG_TAIL = 4096

# "The Init phase is limited to 10 seconds" — developer guide, Lambda execution environment.
INIT_TIMEOUT = 10.0

# CreateFunction's ranges — API reference.
TIMEOUT_RANGE = (1, 900)
MEMORY_RANGE_MB = (128, 10_240)

# "/tmp directory storage: between 512 MB and 10,240 MB" — developer guide, Quotas.
TMP_RANGE_MB = (512, 10_240)

# "Function layers: five layers" — developer guide, Quotas.
MAX_LAYERS = 5

# "Environment variables: 4 KB" together, names and values — developer guide, Quotas.
MAX_ENVIRONMENT = 4 * 1024
