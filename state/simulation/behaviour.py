"""What a session does when it is due: browses, sees a slate, clicks, fills a cart, pays, leaves.

Each act sets what comes next, and in how many milliseconds; `act` then puts the session in its place on the
agenda. The parts take records and few arrays, not the whole world: numba counts references to every array
at every call, and compiles them all into each caller.
"""

import math

from state.kernel import kernel
from state.retrieval.arrays import Doubles
from state.simulation.actions import ADD_TO_CART, CLICK, IMPRESSION, PURCHASE, VIEW
from state.simulation.catalogue import RELATED, Catalogue, take
from state.simulation.choice import attraction, cart_chance, clicked_place
from state.simulation.draws import draw, draw_below, draw_from, draw_normal
from state.simulation.entrance import end_session, reschedule
from state.simulation.records import Record, Records
from state.simulation.sessions import (
    BROWSING,
    CARTING,
    CLICKING,
    ENTERING,
    FREE,
    LEAVING,
    PAYING,
    SEEN,
    SHOWN,
    WAITING,
    remember,
)
from state.simulation.shoppers import add_direction, normalise
from state.simulation.world import World, emit


@kernel
def act(world: World, slot: int) -> None:
    """Do what is due, and set what comes next."""
    session, rules, clock = world.sessions.rows[slot], world.rules[0], world.clock[0]
    person, catalogue, out = world.shoppers.rows[session.shopper], world.catalogue, world.out
    session.time = world.sessions.due[slot]
    state = session.state
    if state == WAITING:
        clock.missed += 1
        _next(session, BROWSING, max(1, _thought(rules, session) - rules.patience_ms))
    elif state == SHOWN:
        _look(out, clock, rules, world.examined, session, person, catalogue.items)
    elif state == CLICKING:
        _click(out, clock, rules, session, person, catalogue.items)
    elif state == CARTING:
        _fill_cart(out, clock, rules, session, person, catalogue.items)
    elif state in (PAYING, LEAVING):
        _pay(catalogue, out, clock, rules, session, person)
    else:
        _go_on(catalogue, out, clock, rules, session, person)
    if session.state == FREE:
        end_session(world, slot)
    else:
        reschedule(world, slot, session.time + session.wait)


@kernel
def _next(session: Record, state: int, wait: int) -> None:
    """The session will do that, so many milliseconds from now; `FREE`: it is over."""
    session.state = state
    session.wait = wait


@kernel
def _thought(rules: Record, session: Record) -> int:
    """Milliseconds until the next act."""
    z = draw_normal(session.stream, 0)
    return max(1, int(rules.think_ms * math.exp(rules.think_spread * z)))


@kernel
def _await(rules: Record, session: Record, person: Record) -> None:
    """Wait for a slate, or go on where the shopper looks at none."""
    if person.looks:
        _next(session, WAITING, rules.patience_ms)
    else:
        _next(session, BROWSING, _thought(rules, session))


@kernel
def _look(
    out: Records,
    clock: Record,
    rules: Record,
    examined: Doubles,
    session: Record,
    person: Record,
    items: Records,
) -> None:
    """See the slate, and click or not."""
    row = emit(out, clock, session, IMPRESSION)
    row.slate = session.slate_number
    clock.seen += 1
    place = clicked_place(rules, examined, session, person, items)
    if place < 0:
        _next(session, BROWSING, _thought(rules, session))
        return
    session.next_item = session.slate[place]
    session.position = place + 1
    session.origin = session.slate_number
    _next(session, CLICKING, _thought(rules, session))


@kernel
def _click(
    out: Records, clock: Record, rules: Record, session: Record, person: Record, items: Records
) -> None:
    """Click the item that appealed on the slate."""
    item = int(session.next_item)
    _touch(out, clock, session, items, CLICK, item)
    _turn_to(rules, session, person, items, item)


@kernel
def _touch(out: Records, clock: Record, session: Record, items: Records, kind: int, item: int) -> None:
    """Write an event of one item, and of the slate it is from."""
    row = emit(out, clock, session, kind)
    row.item = item
    row.position = session.position
    row.slate = session.origin
    row.price = items[item].price


@kernel
def _go_on(
    catalogue: Catalogue, out: Records, clock: Record, rules: Record, session: Record, person: Record
) -> None:
    """Leave, or view an item that no slate showed: who enters, perhaps the one they came back for."""
    item = -1
    if session.state == ENTERING:
        item = int(session.next_item)
    elif session.steps >= rules.longest_session or draw(session.stream, 0) < session.leave:
        if session.carted > 0 and session.buys:
            _next(session, LEAVING, _thought(rules, session))
        else:
            _next(session, FREE, 0)
        return
    if item < 0 or not catalogue.items[item].available:
        item = _found(catalogue, rules, session, person)
    if item < 0:
        _next(session, FREE, 0)
        return
    session.position = 0
    session.origin = 0
    _touch(out, clock, session, catalogue.items, VIEW, item)
    _turn_to(rules, session, person, catalogue.items, item)


@kernel
def _found(catalogue: Catalogue, rules: Record, session: Record, person: Record) -> int:
    """One item seen before, or one of those that a category puts forward; -1 if all are sold out."""
    stream, order = session.stream, catalogue.order
    known = min(session.seen_count, SEEN)
    if draw(stream, 0) < rules.return_share and known > 1:
        place = draw_below(stream, 0, known)
        if session.seen[place] == session.current:
            place = (place + 1) % known
        return int(session.seen[place])
    category = catalogue.categories[session.category]
    if draw(stream, 0) < rules.wander_share:
        category = catalogue.categories[category.related[draw_below(stream, 0, RELATED)]]
    chosen = -1
    total = 0.0
    for _ in range(rules.considered):
        place = draw_from(stream, 0, catalogue.cumulative, category.first, category.end)
        weight = attraction(rules, session, person, catalogue.items, order[place])
        total += weight
        if draw(stream, 0) * total < weight:
            chosen = int(order[place])
    place = category.first
    while chosen < 0 and place < category.end:
        if catalogue.items[order[place]].available:
            chosen = int(order[place])
        place += 1
    return chosen


@kernel
def _turn_to(rules: Record, session: Record, person: Record, items: Records, item: int) -> None:
    """Look at the item that was just viewed or clicked: perhaps it goes into the cart, and intent drifts."""
    thing, stream = items[item], session.stream
    carts = draw(stream, 0) < cart_chance(rules, session, person, items, item)
    intent, vector = session.intent, thing.vector
    for axis in range(intent.size):
        intent[axis] = (1.0 - rules.drift) * intent[axis] + rules.drift * vector[axis]
    add_direction(stream, 0, rules.drift_noise, intent)
    normalise(intent)
    remember(session, item)
    session.category = thing.category
    if carts:
        _next(session, CARTING, _thought(rules, session))
    else:
        _await(rules, session, person)


@kernel
def _fill_cart(
    out: Records, clock: Record, rules: Record, session: Record, person: Record, items: Records
) -> None:
    """Put the item looked at into the cart; perhaps go straight to the checkout."""
    session.cart[session.carted] = session.current
    session.cart_position[session.carted] = session.position
    session.cart_slate[session.carted] = session.origin
    session.carted += 1
    _touch(out, clock, session, items, ADD_TO_CART, int(session.current))
    if draw(session.stream, 0) < rules.checkout_now and session.buys:
        _next(session, PAYING, _thought(rules, session))
    else:
        _await(rules, session, person)


@kernel
def _pay(
    catalogue: Catalogue, out: Records, clock: Record, rules: Record, session: Record, person: Record
) -> None:
    """Buy what is in the cart, as far as it is in stock; perhaps leave."""
    stream = session.stream
    # Of several items each has a slate of its own, which one event cannot tell.
    single = session.carted == 1
    bought = 0
    for place in range(session.carted):
        item = session.cart[place]
        sold = take(catalogue, item, _pieces(draw(stream, 0)), session.time + rules.restock_ms)
        if sold > 0:
            row = emit(out, clock, session, PURCHASE, bought)
            row.item = item
            row.quantity = sold
            row.price = catalogue.items[item].price
            if single:
                row.position = session.cart_position[place]
                row.slate = session.cart_slate[place]
            bought += 1
    session.carted = 0
    if draw(stream, 0) < rules.end_after_purchase or session.state == LEAVING:
        _next(session, FREE, 0)
    elif bought > 0:
        _await(rules, session, person)
    else:
        _next(session, BROWSING, _thought(rules, session))


@kernel
def _pieces(u: float) -> int:
    """Pieces that quantile u of shoppers buy: mostly one."""
    return 1 + int(u < 0.15) + int(u < 0.04) + int(u < 0.01)
