from state.simulation.names import DEPARTMENTS, brand_name, category_name, department_of


def test_category_names_are_unique_and_plain_words():
    names = [category_name(category) for category in range(500)]
    assert len(set(names)) == 500
    assert all(name.isalnum() and name.islower() for name in names)
    assert all(name.isalpha() for name in names[:120])


def test_brand_names_are_unique():
    names = [brand_name(brand) for brand in range(500)]
    assert len(set(names)) == 500
    assert all(name.isalpha() for name in names[:120])


def test_things_of_a_department_are_named_after_it():
    tents = [category_name(c) for c in range(120) if department_of(c) == 0]
    assert tents == DEPARTMENTS[0].split()


def test_every_department_has_ten_nouns_and_no_noun_is_in_two():
    nouns = [noun for department in DEPARTMENTS for noun in department.split()]
    assert len(nouns) == len(set(nouns)) == 10 * len(DEPARTMENTS)
