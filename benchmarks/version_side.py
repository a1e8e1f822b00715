"""What a version of this repository says of itself: run as a script, with that version's code on the path.

`python -P version_side.py settings|topics|differences`, with `PYTHONPATH` and the working folder in a
checkout of that version (`benchmarks.old_code`). It uses only what versions since 2026-11-22 have. It answers
in JSON.

    settings      the names of the settings it knows
    topics        creates the topics that its settings (from the environment) ask for; their names
    differences   reads `{"profiles": [[folded, found], ...], "rewards": [[folded, found], ...]}` from
                  standard input (msgpack, null for none): in which fields *this* version sees a
                  difference, how often.
                  "" counts the pairs in which it sees none, "missing" and "too many" those without a partner.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from stream.codecs import decode_profile, decode_reward
from stream.config import Settings, load_settings
from stream.topics import create_topics, topic_specs

Pair = Sequence[bytes | None]


def settings() -> list[str]:
    """Every setting by name."""
    return sorted(Settings.model_fields)


def topics() -> list[str]:
    """Create what is missing."""
    known = load_settings()
    return list(asyncio.run(create_topics(known.broker, topic_specs(known))))


def differing(pairs: Iterable[Pair], decode: Callable[[bytes], Any]) -> dict[str, int]:
    """How many pairs differ in which fields, as this version reads them."""
    counts: Counter[str] = Counter()
    for folded, found in pairs:
        if folded is None or found is None:
            counts["missing" if found is None else "too many"] += 1
            continue
        one, other = decode(folded), decode(found)
        fields = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
        counts[" ".join(fields)] += 1
    return dict(counts)


def differences(given: bytes) -> dict[str, dict[str, int]]:
    """Profiles and rewards that today's audit finds different, with this version's eyes."""
    told = msgspec.msgpack.decode(given)
    return {
        "profiles": differing(told["profiles"], decode_profile),
        "rewards": differing(told["rewards"], decode_reward),
    }


def answer(question: str, given: Callable[[], bytes]) -> Any:
    """Answer one of the three."""
    if question == "differences":
        return differences(given())
    return {"settings": settings, "topics": topics}[question]()


if __name__ == "__main__":
    print(msgspec.json.encode(answer(sys.argv[1], sys.stdin.buffer.read)).decode())
