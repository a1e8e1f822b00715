"""Business rules: what a shop wants to be left out, lifted, limited or mixed.

A rule for a category also holds for what lies below it: `shoes` for `shoes/trail`. Of several the nearest one
counts, for each kind of rule by itself.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from state.errors import InvalidRules

FACTORS: Final = ("boost", "category_boost", "diversity")
"""What can change a score, in the order of the factors."""
MOST_BOOST: Final = 100.0
LEAST_BOOST: Final = 0.01
MOST_DIVERSITY: Final = 0.9
SEPARATOR: Final = "/"
"""Between a category and what lies below it."""
REVISION: Final = 1
"""Counts changes of what equal rules do."""

Value = TypeVar("Value")


class Rules(Struct, frozen=True, kw_only=True):
    """What is laid down; build it with `parse_rules`, which checks it."""

    exclude: frozenset[str] = frozenset()
    """Item ids that are not recommended."""
    exclude_categories: frozenset[str] = frozenset()
    boosts: Mapping[str, float] = {}
    """Factor on an item's score, [0.01, 100]."""
    category_boosts: Mapping[str, float] = {}
    """Factor on the scores of a category's items, [0.01, 100]."""
    category_limit: int | None = None
    """Most items of any one category in a slate, where `category_limits` does not name it or one above it."""
    category_limits: Mapping[str, int] = {}
    """Most items of a category in a slate; it holds for all that lies below it together."""
    diversity: float = 0.0
    """Each further candidate of a category counts (1 - diversity) times the one before, [0, 0.9]."""

    @property
    def version(self) -> str:
        """8 hex digits: equal rules have the same, on every machine."""
        said = {name: getattr(self, name) for name in self.__struct_fields__}
        text = msgspec.json.encode({"revision": REVISION, **said}, order="deterministic")
        return blake2b(text, digest_size=4).hexdigest()

    @property
    def is_limiting(self) -> bool:
        """Whether a slate may hold only so many of a category."""
        return self.category_limit is not None or bool(self.category_limits)


def nearest(category: str, table: Mapping[str, Value] | frozenset[str]) -> str | None:
    """The category itself or the nearest one above it that the table has.

    Examples:
        >>> nearest("shoes/trail/men", {"shoes": 1, "shoes/trail": 2})
        'shoes/trail'
    """
    while category and category not in table:
        category = category.rpartition(SEPARATOR)[0]
    return category or None


def parse_rules(fields: Mapping[str, Any]) -> Rules:
    """Check decoded rules.

    Raises:
        InvalidRules: With every problem.
    """
    if problems := list(_problems(fields)):
        raise InvalidRules(problems)
    known = dict(fields)
    for name in ("exclude", "exclude_categories"):
        known[name] = frozenset(known.get(name, ()))
    for name in ("boosts", "category_boosts"):
        known[name] = {key: float(factor) for key, factor in known.get(name, {}).items()}
    return Rules(**known | {"diversity": float(known.get("diversity", 0.0))})


def _problems(fields: Mapping[str, Any]) -> Iterator[str]:
    for name in fields:
        if name not in Rules.__struct_fields__:
            yield f"{name}: there is no such rule; known: {', '.join(Rules.__struct_fields__)}"
    for name in ("exclude", "exclude_categories"):
        yield from _wrong_names(name, fields.get(name, []))
    for name in ("boosts", "category_boosts"):
        yield from _wrong_entries(name, fields.get(name, {}), _wrong_boost)
    yield from _wrong_entries("category_limits", fields.get("category_limits", {}), _wrong_limit)
    if "category_limit" in fields and (wrong := _wrong_limit(fields["category_limit"])):
        yield f"category_limit: {wrong}"
    if wrong := _wrong_number(fields.get("diversity", 0), 0.0, MOST_DIVERSITY):
        yield f"diversity: {wrong}"
    for lists, factors in (("exclude", "boosts"), ("exclude_categories", "category_boosts")):
        both = _texts(fields.get(lists)) & _texts(fields.get(factors))
        for name in sorted(both):
            yield f"{factors}.{name}: is in {lists} as well"


def _wrong_names(name: str, given: object) -> Iterator[str]:
    if not isinstance(given, list):
        yield f"{name}: {given!r} is not a list of text"
        return
    for place, each in enumerate(given):
        if not isinstance(each, str) or not each:
            yield f"{name}[{place}]: {each!r} is not text"


def _wrong_entries(name: str, given: object, wrong: Callable[[object], str]) -> Iterator[str]:
    if not isinstance(given, dict):
        yield f"{name}: {given!r} is not a table; write [{name}] and a line for each"
        return
    for key, value in given.items():
        if not key:
            yield f"{name}: an empty name"
        if told := wrong(value):
            yield f"{name}.{key}: {told}"


def _wrong_boost(value: object) -> str:
    told = _wrong_number(value, LEAST_BOOST, MOST_BOOST)
    return told and f"{told}; to leave something out, exclude it"


def _wrong_limit(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return ""
    return f"{value!r} is not a whole number from 1 up; to leave a category out, exclude it"


def _wrong_number(value: object, least: float, most: float) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and isfinite(value) and least <= value <= most:  # type: ignore[arg-type, operator]  # it is one
        return ""
    return f"{value!r} is not a number in [{least:g}, {most:g}]"


def _texts(given: object) -> set[str]:
    return {each for each in given if isinstance(each, str)} if isinstance(given, list | dict) else set()
