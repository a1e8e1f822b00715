"""What the HTTP API is compared with: uvicorn, set up as the API's, and an endpoint that returns a constant.

`python -m benchmarks.bare_http PORT BYTES`
"""

import logging
import sys
from typing import Any

import uvicorn
import uvloop


def constant(body: bytes) -> Any:
    """An ASGI application that answers everything with this body."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    end = {"type": "http.response.body", "body": body}

    async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - what ASGI passes
        await send(dict(start))
        await send(dict(end))

    return application


def main() -> None:
    port, size = map(int, sys.argv[1:])
    logging.basicConfig(level=logging.INFO)
    config = uvicorn.Config(
        constant(b"x" * size),
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
