import pickle

import pytest

from state import errors
from state.errors import (
    REASONS,
    FreshslateError,
    InvalidEvent,
    InvalidItem,
    InvalidRecord,
    Refused,
    SetupError,
    StopWorker,
    TooManyDeadLetters,
    UnreadableState,
)


def test_the_drawn_tree_is_the_tree():
    classes = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, FreshslateError)
    ]
    assert {each.__name__ for each in classes} == {
        word
        for line in errors.__doc__.splitlines()
        for word in line.split()
        if isinstance(getattr(errors, word, None), type)
    }


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (InvalidEvent, InvalidRecord),
        (InvalidItem, InvalidRecord),
        (InvalidRecord, FreshslateError),
        (Refused, FreshslateError),
        (StopWorker, FreshslateError),
        (SetupError, StopWorker),
        (TooManyDeadLetters, StopWorker),
        (UnreadableState, StopWorker),
    ],
)
def test_what_to_do_follows_from_the_branch(child, parent):
    assert child.__bases__ == (parent,)


def test_reasons_are_distinct_metric_labels():
    assert len(set(REASONS)) == len(REASONS)
    assert all(reason.isidentifier() and reason.islower() for reason in REASONS)


def test_errors_carry_their_data_and_say_it():
    error = InvalidEvent("wrong_id", "user_id has control characters")
    assert (error.reason, error.detail) == ("wrong_id", "user_id has control characters")
    assert str(error) == "wrong_id: user_id has control characters"


def test_the_dead_letter_limit_says_where_how_many_and_what_to_check():
    error = TooManyDeadLetters("clicks", 3, 600, 1000, last=InvalidEvent("not_json", "byte 1"))
    assert (error.topic, error.partition, error.bad, error.records) == ("clicks", 3, 600, 1000)
    text = str(error)
    assert "600 of the latest 1000 records of clicks[3]" in text
    assert "not_json: byte 1" in text
    assert "docs/events.md" in text


def test_unreadable_state_says_which_version_to_run():
    assert "stored profile: it has version 2" in str(UnreadableState("profile", "it has version 2"))


@pytest.mark.parametrize(
    "error",
    [InvalidEvent("not_json", "x"), TooManyDeadLetters("t", 1, 2, 3), UnreadableState("delta", "x")],
)
def test_errors_cross_processes(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
