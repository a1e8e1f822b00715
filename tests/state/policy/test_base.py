import subprocess
import sys
from pathlib import Path

from state.policy.base import version_of


def test_a_version_is_eight_hex_digits():
    version = version_of("softmax", 1, temperature=0.15)
    assert len(version) == 8
    assert int(version, 16) >= 0


def test_name_revision_and_parameters_all_change_the_version():
    versions = {
        version_of("a", 1, x=0.1),
        version_of("b", 1, x=0.1),
        version_of("a", 2, x=0.1),
        version_of("a", 1, x=0.2),
        version_of("a", 1, y=0.1),
    }
    assert len(versions) == 5


def test_the_order_and_spelling_of_parameters_do_not_change_the_version():
    assert version_of("a", 1, x=1, y=2.0) == version_of("a", 1, y=2, x=1.0)


def test_a_version_does_not_depend_on_the_process():
    code = "from state.policy.base import version_of; print(version_of('a', 1, x=0.3, y=2))"
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    other = subprocess.run(
        command, cwd=root, env={"PYTHONHASHSEED": "9"}, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == version_of("a", 1, x=0.3, y=2)
