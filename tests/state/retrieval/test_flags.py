from state.retrieval import flags


def test_every_flag_is_a_bit_of_its_own() -> None:
    bits = [flags.CURRENT, flags.EARLIER, flags.EXCLUDED, flags.TOUCHED]
    assert sum(bits) == 0b1111
    assert flags.IN_SESSION == flags.CURRENT | flags.EARLIER
