"""A worker as it is, but for what it does with records: `python -m benchmarks.trivial_worker`.

Transport, loop, transaction, store, changelog, replica, metrics and pages are the real ones, with the
settings of the environment.
"""

import stream.worker
from agents.personalize import run_worker
from benchmarks.trivial import work
from stream.config import load_settings


def main() -> None:
    # `Worker` looks both up by these names when it is built.
    stream.worker.work = work
    # At least once looks for slates to repeat, and these are none.
    stream.worker.published_over = lambda *_: None
    run_worker(load_settings())


if __name__ == "__main__":
    main()
