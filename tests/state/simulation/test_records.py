import numpy as np

from state.kernel import kernel
from state.simulation.records import new_records, resized_records

TYPE = np.dtype([("count", np.int64), ("vector", np.float32, (3,))], align=True)


@kernel
def change(records, index):
    record = records[index]
    record.count += 5
    vector = record.vector
    vector[1] = 2.0


def test_a_kernel_that_sets_a_field_of_a_record_sets_it_in_the_array():
    records = new_records(3, TYPE)
    change(records, 1)
    assert records["count"].tolist() == [0, 5, 0]
    assert records.vector[1].tolist() == [0.0, 2.0, 0.0]


def test_resized_records_keep_what_was_there_and_are_copies():
    records = new_records(2, TYPE)
    records.vector[:] = 1.0
    larger, smaller = resized_records(records, 4), resized_records(records, 1)
    records.vector[:] = 9.0
    assert larger.vector.sum(axis=1).tolist() == [3.0, 3.0, 0.0, 0.0]
    assert smaller.vector.tolist() == [[1.0, 1.0, 1.0]]
