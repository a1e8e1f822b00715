"""What was moved, and what the new workers need to know."""

from rich.console import Console

from stream.config import Settings
from stream.move import Moved


def print_moved(out: Console, moved: Moved, target: Settings) -> None:
    """Counts, the verdict, and the environment of the new workers."""
    say = out.print
    say(
        f"{moved.profiles:,} profiles, placed by {moved.partitioner} as the producers place events",
        highlight=False,
    )
    for topic, count in moved.records.items():
        say(f"{count:,} records of {topic}", highlight=False)
    if not moved.is_whole:
        say(
            f"NOT WHOLE: {moved.profiles_different:,} profiles differ, {moved.records_missing:,} records are "
            "missing or came twice. Start no worker on the new topics; delete them and move again.",
            style="red",
            highlight=False,
        )
        return
    say("Every profile was read back and is the same, byte for byte. The new workers need:", highlight=False)
    for name in ("broker", "topic_prefix", "partitions", "app_id"):
        say(f"  export FRESHSLATE_{name.upper()}={getattr(target, name)}", highlight=False)
