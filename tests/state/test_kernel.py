import inspect
from functools import partial

import numpy as np
import pytest
from numba.core.errors import TypingError

from state.kernel import kernel, kernel_part


@kernel
def total(count: int) -> int:
    result = 0
    for each in range(count):
        result += each
    return result


@kernel_part
def double(values: np.ndarray) -> None:
    for i in range(values.size):
        values[i] *= 2


@kernel_part
def made(count: int) -> int:
    return np.empty(count).size


@kernel_part
def part_of(values: np.ndarray) -> np.ndarray:
    return values[1:]


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


def test_a_part_of_kernels_works_on_the_arrays_that_it_is_given():
    values = np.arange(3)
    double(values[1:])
    assert values.tolist() == [0, 2, 4]
    assert double.targetoptions["nogil"]


def test_a_part_of_kernels_may_make_no_array_and_return_none():
    for refused in (partial(made, 3), partial(part_of, np.arange(3))):
        with pytest.raises(TypingError, match="Only accept returning of array passed into"):
            refused()
