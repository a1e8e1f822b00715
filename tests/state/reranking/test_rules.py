import subprocess
import sys
from pathlib import Path

import pytest

from state.errors import InvalidRules
from state.reranking.rules import Rules, nearest, parse_rules

ALL = {
    "exclude": ["sku-1", "sku-2"],
    "exclude_categories": ["gifts"],
    "boosts": {"sku-7": 2},
    "category_boosts": {"shoes": 0.5},
    "category_limit": 3,
    "category_limits": {"shoes/trail": 1},
    "diversity": 0.25,
}


def test_nothing_said_is_no_rule():
    assert parse_rules({}) == Rules()
    assert not Rules().is_limiting


def test_every_rule_is_read():
    rules = parse_rules(ALL)
    assert rules == Rules(
        exclude=frozenset({"sku-1", "sku-2"}),
        exclude_categories=frozenset({"gifts"}),
        boosts={"sku-7": 2.0},
        category_boosts={"shoes": 0.5},
        category_limit=3,
        category_limits={"shoes/trail": 1},
        diversity=0.25,
    )
    assert rules.is_limiting
    assert set(ALL) == set(Rules.__struct_fields__)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"boost": {}}, "boost: there is no such rule; known: exclude, exclude_categories, boosts"),
        ({"exclude": "sku-1"}, "exclude: 'sku-1' is not a list of text"),
        ({"exclude": ["a", 7]}, "exclude[1]: 7 is not text"),
        ({"exclude_categories": [""]}, "exclude_categories[0]: '' is not text"),
        ({"boosts": ["a"]}, "boosts: ['a'] is not a table; write [boosts] and a line for each"),
        (
            {"boosts": {"a": 0}},
            "boosts.a: 0 is not a number in [0.01, 100]; to leave something out, exclude it",
        ),
        ({"boosts": {"a": True}}, "boosts.a: True is not a number"),
        ({"boosts": {"a": float("nan")}}, "boosts.a: nan is not a number"),
        ({"category_boosts": {"a": "2"}}, "category_boosts.a: '2' is not a number"),
        ({"category_boosts": {"": 2}}, "category_boosts: an empty name"),
        ({"category_limit": 0}, "category_limit: 0 is not a whole number from 1 up"),
        ({"category_limits": {"a": 1.5}}, "category_limits.a: 1.5 is not a whole number from 1 up"),
        ({"category_limits": {"a": True}}, "category_limits.a: True is not a whole number"),
        ({"diversity": 1}, "diversity: 1 is not a number in [0, 0.9]"),
        ({"exclude": ["a"], "boosts": {"a": 2}}, "boosts.a: is in exclude as well"),
        (
            {"exclude_categories": ["a"], "category_boosts": {"a": 2}},
            "category_boosts.a: is in exclude_categories as well",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_key(fields, problem):
    with pytest.raises(InvalidRules) as error:
        parse_rules(fields)
    (told,) = error.value.problems
    assert told.startswith(problem)


def test_every_problem_is_said_at_once():
    with pytest.raises(InvalidRules) as error:
        parse_rules({"diversity": 7, "category_limit": -1, "boosts": {"a": 0, "b": 1000}})
    assert len(error.value.problems) == 4


def test_the_nearest_category_above_is_meant():
    table = {"shoes": 1, "shoes/trail": 2}
    assert nearest("shoes/trail/men", table) == "shoes/trail"
    assert nearest("shoes/road", table) == "shoes"
    assert nearest("shoes", table) == "shoes"
    assert nearest("shoestrings", table) is None
    assert nearest("", table) is None


def test_equal_rules_have_one_version_in_whatever_order_they_are_written():
    there = parse_rules({"exclude": ["a", "b"], "boosts": {"c": 2, "d": 3}})
    back = parse_rules({"boosts": {"d": 3.0, "c": 2.0}, "exclude": ["b", "a"]})
    assert there.version == back.version
    assert len(there.version) == 8


def test_each_rule_changes_the_version():
    versions = {parse_rules({}).version, *(parse_rules({name: ALL[name]}).version for name in ALL)}
    assert len(versions) == len(ALL) + 1


def test_the_version_does_not_depend_on_the_process():
    code = "from state.reranking.rules import *; print(parse_rules({'exclude': list('abcde')}).version)"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[3],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {parse_rules({"exclude": list("abcde")}).version}
