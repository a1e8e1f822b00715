"""A worker of another version, as far as what it writes: `python -m tests.kafka.versions VERSION`.

The differences are put in from outside; the code of a worker knows nothing of them.

    older   leaves out of deltas what the schema of `tests/fixtures/2026-11-24` did not say
    newer   says more in deltas and slates than this code knows
    next    writes profiles of the next version, which this code does not know
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from agents.personalize import run_worker
from state.profile import PROFILE_VERSION, Profile
from state.slate import Delta
from stream import work
from stream.config import load_settings


def older() -> None:
    encode_delta = work.encode_delta

    def delta_then(delta: Delta) -> bytes:
        return encode_delta(replace(delta, folded=UNSET, exposures=UNSET))

    work.encode_delta = delta_then


def newer() -> None:
    def saying_more(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        def encoded(value: Any) -> bytes:
            return json.dumps(json.loads(encode(value)) | {"of_tomorrow": {"a": [1]}}).encode()

        return encoded

    work.encode_delta, work.encode_slate = saying_more(work.encode_delta), saying_more(work.encode_slate)


def next_version() -> None:
    def encode_next(profile: Profile) -> bytes:
        return msgspec.msgpack.encode(replace(profile, version=PROFILE_VERSION + 1))

    def decode_next(value: bytes) -> Profile:
        return replace(msgspec.msgpack.decode(value, type=Profile), version=PROFILE_VERSION)

    work.encode_profile, work.decode_profile = encode_next, decode_next


VERSIONS: dict[str, Callable[[], None]] = {"older": older, "newer": newer, "next": next_version}

if __name__ == "__main__":
    VERSIONS[sys.argv[1]]()
    run_worker(load_settings())
