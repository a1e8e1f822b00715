import inspect

import pytest

from state.kernel import kernel


@kernel
def total(count: int) -> int:
    result = 0
    for each in range(count):
        result += each
    return result


def test_a_kernel_computes_what_its_python_does():
    assert total(10) == total.py_func(10) == 45


def test_a_kernel_is_compiled_without_the_gil():
    total(3)
    assert total.targetoptions["nogil"]
    assert total.targetoptions["nopython"]
    assert total.nopython_signatures


def test_a_kernel_keeps_its_name_and_signature():
    assert total.__name__ == "total"
    assert list(inspect.signature(total.py_func).parameters) == ["count"]


def test_a_kernel_refuses_what_numba_cannot_type():
    with pytest.raises(Exception, match="Cannot determine Numba type"):
        total(object())
