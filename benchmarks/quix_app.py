"""The trivial step in Quix Streams: run by the peers' own Python, `python -m benchmarks.quix_app '{...}'`.

Its settings are the best that were found: events are decoded by orjson (its default), slates go out as bytes,
offsets are committed each second or, exactly once, each transaction takes a second.
"""

import json
import sys
from typing import Any

from quixstreams import Application, State

from benchmarks.payloads import slate_value


def main() -> None:
    task = json.loads(sys.argv[1])
    app = Application(
        broker_address=task["broker"],
        consumer_group=task["group"],
        auto_offset_reset="earliest",
        auto_create_topics=True,
        state_dir=task["folder"],
        commit_interval=1.0,
        processing_guarantee=task["variant"].replace("_", "-"),
        loglevel="WARNING",
    )
    events = app.topic(task["source"], key_deserializer="bytes", value_deserializer="json")
    slates = app.topic(task["target"], key_serializer="bytes", value_serializer="bytes")

    def count(event: dict[str, Any], state: State) -> bytes:
        state.set("count", (state.get("count") or 0) + 1)
        return slate_value(event["event_id"])

    app.dataframe(events).apply(count, stateful=True).to_topic(slates)
    app.run()


if __name__ == "__main__":
    main()
