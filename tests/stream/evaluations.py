"""Sources of events to evaluate on, made up."""

from state.catalogue import CatalogueItem
from stream.event_file import EventList
from tests.state.evaluation.logs import DAY, T, shop

BEGIN = T + 7 * DAY


class Made(EventList):
    """Events in memory with a catalogue of two categories."""

    note = ""

    def __init__(self, events, categories=True):
        super().__init__(events)
        self._categories = categories

    def items(self):
        names = dict.fromkeys(item.item_id for event in self for item in event.items)
        for name in names if self._categories else ():
            yield CatalogueItem(item_id=name, category=f"c{int(name[1:]) // 10}")


def made(seed=4, *, sessions=300):
    """A shop of ten days."""
    return Made(shop(seed, sessions=sessions))
