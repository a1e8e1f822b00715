from pathlib import Path

import pytest

from state.retrieval.config import ModelConfig
from stream.model_file import ModelFileError, check_model_file, read_model_file, write_model_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.toml"


def test_what_is_written_is_read(path: Path) -> None:
    values = {"neighbours": 500, "rule_weight": 1e-05, "type_weights": ModelConfig().type_weights}
    write_model_file(path, values, {"data": 'a "log"\\', "best": {"hr@20": 0.5}})
    assert read_model_file(path) == {**values, "type_weights": list(values["type_weights"])}
    assert check_model_file(path) == path
    assert 'best = { "hr@20" = 0.5 }' in path.read_text()
    assert 'data = "a \\"log\\"\\\\"' in path.read_text()


def test_no_file_is_no_fault() -> None:
    assert check_model_file(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[model]\nneighbours = 1\nneighbors = 5",
            "line 3: there is no parameter neighbors; did you mean neighbours?",
        ),
        ("[model]\n\nneighbours = 'many'", r"line 3: neighbours: Expected `int`, got `str`"),
        ("[model]\nneighbours = 2.5", r"line 2: neighbours: Expected `int`, got `float`"),
        ("[model]\npostings=0", "line 2: postings must be at least 1, got 0"),
        ('[model]\n"rule_weight" = -1.0', r"line 2: rule_weight must not be negative, got -1\.0"),
        ("[model]\nneighbours 5", r"is no TOML: .*line 2"),
        ("neighbours = 5", r"must hold a table \[model\], and not neighbours"),
        ("", r"must hold a table \[model\]"),
        ("[model]\n[other]", r"must hold a table \[model\], and not other"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(ModelFileError, match=message):
        read_model_file(path)


def test_a_file_that_cannot_be_read_says_why(path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        read_model_file(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ModelFileError, match="cannot be read: not UTF-8"):
        read_model_file(path)
