from state.categories import NONE, Categories


def test_an_item_nobody_put_anywhere_has_none():
    assert Categories().codes(3)[:3].tolist() == [NONE] * 3
    assert Categories().names == [""]


def test_items_of_a_category_share_its_code():
    categories = Categories()
    for item, name in enumerate(["shoes", None, "tents", "shoes", ""]):
        categories.put(item, name)
    codes = categories.codes(5)[:5].tolist()
    assert [categories.names[code] for code in codes] == ["shoes", "", "tents", "shoes", ""]
    assert codes[0] == codes[3]


def test_an_item_that_moves_has_the_code_of_where_it_is():
    categories = Categories()
    categories.put(0, "shoes")
    categories.put(0, "tents")
    assert categories.names[categories.codes(1)[0]] == "tents"
    categories.put(0, None)
    assert categories.codes(1)[0] == NONE


def test_codes_stay_when_the_array_grows():
    categories = Categories()
    categories.put(1, "shoes")
    categories.put(5000, "tents")
    assert categories.codes(5001)[[0, 1, 5000]].tolist() == [0, 1, 2]
