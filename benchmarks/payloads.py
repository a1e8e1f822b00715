"""What every engine is given and must answer: an event of some 600 bytes, a slate of some 700.

Nothing but the standard library, since engines that are compared run in an environment of their own.
"""

import random
from typing import Final

SLATE_BYTES: Final = 700
USERS: Final = 20_000
ITEMS: Final = 20_000
CLOCK_DIGITS: Final = 19
"""Of a time in nanoseconds since the epoch, which begins every event's id."""
_SKEW: Final = 3
"""Users and items are drawn as the third power of a uniform number: a few of them are half of the traffic."""
_DRAWS: Final = 1 << 16
"""Events after which users and items come in the same order again."""
_ID: Final = b'"event_id":"'

_EVENT: Final = (
    '{"event_id":"%d-%09d","type":"view","user_id":"u%d","time":%d,"item_id":"i%d","scenario":"feed",'
    '"context":{"page":"https://shop.example/category/outdoor/tents?sort=popular&page=2",'
    '"referrer":"https://search.example/?q=light+tent+for+two","agent":"Mozilla/5.0 (X11; Linux x86_64) '
    'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",'
    '"viewport":{"width":1440,"height":900},'
    '"device":"desktop","language":"en-GB","consent":true,"experiment":["nav-7","price-2"],'
    '"campaign":"autumn","app_version":"8.12.3","cart":{"items":2,"value":184.5}}}'
)
_ITEMS: Final = ",".join(
    f'{{"item_id":"i{100_000 + n}","score":{0.9 - n / 20:.2f},"propensity":0.05}}' for n in range(10)
)
_HEAD: Final = b'{"trigger":{"event_id":"'
_TAIL: Final = b'"},"policy":"fixed","items":[%s],"note":"%%s"}' % _ITEMS.encode()
_ID_BYTES: Final = CLOCK_DIGITS + 10
_REST: Final = _TAIL % (b"-" * max(0, SLATE_BYTES - len(_HEAD) - _ID_BYTES - len(_TAIL) + 2))


class Draws:
    """Who does what, event by event: the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        rng = random.Random(seed)
        self._users = [int(USERS * rng.random() ** _SKEW) for _ in range(_DRAWS)]
        self._items = [int(ITEMS * rng.random() ** _SKEW) for _ in range(_DRAWS)]

    def user(self, number: int) -> int:
        """Of this event."""
        return self._users[number % _DRAWS]

    def event(self, number: int, at_ns: int) -> bytes:
        """This event's value.

        Args:
            number: of the event; its id is no other event's.
            at_ns: when it happens and is sent, nanoseconds since the epoch.
        """
        place = number % _DRAWS
        text = _EVENT % (at_ns, number, self._users[place], at_ns // 1_000_000, self._items[place])
        return text.encode()


def slate_value(event_id: str) -> bytes:
    """The answer to this event, the same for every engine but for the id."""
    return b"".join((_HEAD, event_id.encode(), _REST))


def id_of(value: bytes) -> str:
    """Id of the event that this event or slate is of, without decoding it."""
    start = value.index(_ID) + len(_ID)
    return value[start : start + _ID_BYTES].decode()


def sent_ns(value: bytes) -> int:
    """When the event was sent that this event or slate is of.

    Raises:
        ValueError: it is of no event made here.
    """
    start = value.index(_ID) + len(_ID)
    return int(value[start : start + CLOCK_DIGITS])
