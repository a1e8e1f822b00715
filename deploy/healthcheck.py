"""Exit code 0 if /healthz of this container's worker answers 200, else 1: a health check without curl.

Takes the port as its argument, by default that of the worker.
"""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 4.0


def main() -> int:
    """Ask once, and say why not."""
    port = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("FRESHSLATE_WORKER_PORT", "6066")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_SECONDS):
            return 0
    except urllib.error.HTTPError as error:
        print(f"unhealthy: {error.read(2000).decode(errors='replace')}")
    except OSError as error:
        print(f"no answer on port {port}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
