"""The file of business rules: read at the start, watched, and put in force when it changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from state.errors import InvalidRules
from state.reranking.rules import Rules, parse_rules
from stream.metrics import Metrics
from stream.watched_file import Kind, WatchedFile, decode_toml
from stream.worker_metrics import RULES_INFO, RULES_REFUSED

KIND: Final = Kind("business rules", RULES_REFUSED, RULES_INFO)


class RulesFile(WatchedFile[Rules]):
    """Keeps the rules in force equal to a file.

    Args:
        path: TOML, as in docs/rules.md.
        follow: Takes rules that are to be in force.
        metrics: Count refusals and name the version in force.

    Raises:
        SetupError: The file cannot be followed.
    """

    def __init__(self, path: Path, follow: Callable[[Rules], None], metrics: Metrics) -> None:
        super().__init__(path, KIND, read=read_rules, follow=follow, metrics=metrics)


def read_rules(content: bytes | str) -> Rules:
    """Rules from a file's content.

    Args:
        content: TOML in UTF-8; text is why it could not be read.

    Raises:
        InvalidRules: With every problem, the line or the key before each.
    """
    return parse_rules(decode_toml(content, lambda reason: InvalidRules([reason])))
