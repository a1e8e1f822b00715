"""Coming and going: how a session begins and ends, and its place on the agenda in between."""

from state.kernel import kernel
from state.simulation.agenda import enter, leave, moved
from state.simulation.catalogue import TASTE, Catalogue
from state.simulation.draws import draw, draw_from, stream_of
from state.simulation.records import Record
from state.simulation.sessions import ENTERING, FREE, SEEN, SHOWN, WAITING, clear, kumaraswamy
from state.simulation.shoppers import FAVOURITES, RECENT, SHARES, add_direction, normalise, taste_of
from state.simulation.world import SEED, World


@kernel
def start_session(world: World, shopper: int, time: int, focus: int) -> None:
    """Let a shopper in who is not in the shop; there is a free slot.

    Args:
        world: All arrays.
        shopper: Index.
        time: Epoch ms of the first act.
        focus: Category that the session is about, or -1.
    """
    clock, sessions, rules = world.clock[0], world.sessions, world.rules[0]
    clock.free -= 1
    slot = sessions.free[clock.free]
    person, session = world.shoppers.rows[shopper], sessions.rows[slot]
    person.sessions += 1
    person.slot = slot
    settle_in(world, slot, shopper)
    session.number = person.sessions
    session.stream[0] = stream_of(world.streams[SEED], shopper, person.sessions)
    session.leave = kumaraswamy(draw(session.stream, 0), rules.leave_a, rules.leave_b)
    session.buys = draw(session.stream, 0) < person.checkout
    _choose_goal(world.catalogue, rules, session, person, focus)
    session.state = ENTERING
    sessions.due[slot] = time
    clock.present = enter(sessions.heap, sessions.place, sessions.due, clock.present, slot)
    clock.started += 1


@kernel
def settle_in(world: World, slot: int, shopper: int) -> None:
    """Put a shopper who wants nothing in particular into the slot."""
    session, person = world.sessions.rows[slot], world.shoppers.rows[shopper]
    clear(session, shopper)
    session.stream[0] = stream_of(world.streams[SEED], shopper, 0)
    taste_of(person, world.catalogue.categories, world.rules[0].taste_spread, session)
    session.category = person.favourites[0]


@kernel
def _choose_goal(catalogue: Catalogue, rules: Record, session: Record, person: Record, focus: int) -> None:
    """Set the category, the intent, and the first item where the session comes back to one."""
    stream = session.stream
    kind = draw(stream, 0)
    which = draw(stream, 0)
    if focus >= 0:
        session.category = focus
    elif person.recent[0] >= 0 and kind < rules.come_back_share:
        session.next_item = person.recent[0]
        session.category = catalogue.items[session.next_item].category
    elif kind > 1.0 - rules.explore_share:
        session.category = draw_from(stream, 0, catalogue.size, 0, catalogue.size.size)
    else:
        place = 0
        while place < FAVOURITES - 1 and which >= SHARES[place]:
            which -= SHARES[place]
            place += 1
        session.category = person.favourites[place]
    intent = session.intent
    goal = catalogue.categories[session.category].centre
    if session.next_item >= 0:
        goal = catalogue.items[session.next_item].vector
    for axis in range(TASTE):
        intent[axis] = goal[axis]
    add_direction(stream, 0, rules.goal_spread, intent)
    normalise(intent)


@kernel
def end_session(world: World, slot: int) -> None:
    """The shopper leaves and remembers the latest items; the slot is free."""
    clock, sessions = world.clock[0], world.sessions
    session = sessions.rows[slot]
    person = world.shoppers.rows[session.shopper]
    for back in range(min(session.seen_count, RECENT)):
        person.recent[back] = session.seen[(session.seen_count - 1 - back) % SEEN]
    person.slot = 0
    clock.present = leave(sessions.heap, sessions.place, sessions.due, clock.present, slot)
    session.state = FREE
    sessions.free[clock.free] = slot
    clock.free += 1
    clock.ended += 1
    count_session(clock, world.rules[0], session.events)


@kernel
def count_session(clock: Record, rules: Record, events: int) -> None:
    """Average the events per arrival, which the rate of arrivals goes by."""
    mean = clock.session_events + rules.rate_gain * (events - clock.session_events)
    clock.session_events = max(1.0, mean)


@kernel
def reschedule(world: World, slot: int, time: int) -> None:
    """The session acts next at that time."""
    sessions = world.sessions
    sessions.due[slot] = time
    moved(sessions.heap, sessions.place, sessions.due, world.clock[0].present, slot)


@kernel
def hand_over(world: World, slot: int, now: int, number: int) -> None:
    """The session sees the slate that lies in its slot, right after `now`."""
    session = world.sessions.rows[slot]
    session.slate_number = number
    session.state = SHOWN
    reschedule(world, slot, now + 1)


@kernel
def is_waiting(world: World, shopper: int, now: int) -> bool:
    """Whether this shopper is in the shop, and still waits for a slate."""
    slot = world.shoppers.rows[shopper].slot
    return bool(slot > 0 and world.sessions.rows[slot].state == WAITING and world.sessions.due[slot] > now)
