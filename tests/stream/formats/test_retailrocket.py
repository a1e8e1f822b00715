import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import FormatError, Rejects
from stream.formats.retailrocket import items, load

HEADER = b"timestamp,visitorid,event,itemid,transactionid\n"
PROPERTIES = b"timestamp,itemid,property,value\n"
JUN_2 = 1_433_221_332_117


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load([HEADER, *lines], rejects)), rejects


def test_a_view_is_a_view_of_its_visitor() -> None:
    events, rejects = loaded(b"1433221332117,257597,view,355908,\n")
    assert events == [
        Event(
            event_id="retailrocket-2",
            type="view",
            user_id="257597",
            time=JUN_2,
            items=(EventItem("355908"),),
        )
    ]
    assert not rejects.counts


def test_events_are_sorted_by_time() -> None:
    events, _ = loaded(
        b"1433221332117,1,view,b,", b"1433221332110,1,addtocart,a,", b"1433221332118,2,view,c,"
    )
    assert [(event.type, event.items[0].item_id) for event in events] == [
        ("add_to_cart", "a"),
        ("view", "b"),
        ("view", "c"),
    ]


def test_the_rows_of_a_transaction_are_one_purchase_at_its_first_time() -> None:
    events, _ = loaded(
        b"1433221332117,1,transaction,b,77",
        b"1433221332116,2,transaction,x,78",
        b"1433221332110,1,transaction,a,77",
        b"1433221332112,1,view,c,",
    )
    assert [(e.time - JUN_2, e.type, e.order_id, [i.item_id for i in e.items]) for e in events] == [
        (-7, "purchase", "77", ["b", "a"]),
        (-5, "view", None, ["c"]),
        (-1, "purchase", "78", ["x"]),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1433221332117,1,view,5", "wrong_columns"),
        (b"1433221332117,1,dance,5,", "unknown_type"),
        (b"1433221332117,,view,5,", "missing_user"),
        (b"1433221332117,1,view,,", "missing_item"),
        (b"soon,1,view,5,", "wrong_time"),
        (b"1433221332117,1,view,\xff,", "not_utf8"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(line, b"\n", b"1433221332117,1,view,5,")
    assert [event.event_id for event in events] == ["retailrocket-4"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


@pytest.mark.parametrize("read", [load, items])
def test_a_file_of_another_kind_is_refused_whole(read: object) -> None:
    with pytest.raises(FormatError, match="not a Retailrocket file: the first line must be timestamp,"):
        list(read([b"a,b\n"], Rejects()))  # type: ignore[operator]


def test_an_item_has_its_latest_category_and_availability_over_both_parts() -> None:
    rejects = Rejects()
    found = list(
        items(
            [
                PROPERTIES,
                b"1435460400000,460429,categoryid,1338\n",
                b"1435460500000,460429,categoryid,1339\n",
                b"1441508400000,206783,888,1116713 960601 n277.200\n",
                b"1435460400000,460429,available,1\n",
                PROPERTIES,
                b"1435460450000,460429,categoryid,7\n",
                b"1435460500000,460429,available,0\n",
                b"1435460500000,,available,0\n",
            ],
            rejects,
        )
    )
    assert found == [
        CatalogueItem(item_id="460429", category="1339", available=False),
        CatalogueItem(item_id="206783"),
    ]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(9, "missing_item")]
