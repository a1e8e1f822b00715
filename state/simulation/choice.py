"""What a shopper makes of an item and of a slate: the true probabilities, in closed form.

Attraction of item i for a session with taste u and intent g, of a shopper with sensitivity s and budget b,

    a_i = sigmoid(bias + w_t u.e_i + w_g g.e_i + w_q q_i - w_p s max(0, x_i - b)),

with q quality and x the log price by the category's middle; less for an item seen before in the session, 0
for the item looked at now and for what is not to be had. Position k is looked at with probability
theta_k = k^-eta, and the first item that appeals is clicked (cascade):

    P(click at k) = theta_k a_k prod_{j<k} (1 - theta_j a_j).

Sources: Craswell et al. (WSDM 2008); Chuklin, Markov, de Rijke (2015), chapter 3.
"""

import math

from state.kernel import kernel
from state.retrieval.arrays import Bytes, Doubles, Floats, Ints
from state.simulation.catalogue import TASTE
from state.simulation.draws import draw
from state.simulation.records import Record, Records
from state.simulation.sessions import CART, SEEN, has_seen, in_cart
from state.simulation.world import World


@kernel
def sigmoid(x: float) -> float:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + math.exp(-x))


@kernel
def overprice(person: Record, thing: Record) -> float:
    """How much the item hurts: the shopper's sensitivity times log price above the budget; at least 0."""
    return float(person.sensitivity * max(0.0, thing.expense - person.budget))


@kernel
def cosine(vector: Floats, other: Floats) -> float:
    """Of two vectors of length 1."""
    total = 0.0
    for axis in range(TASTE):
        total += vector[axis] * other[axis]
    return total


@kernel
def appeal(rules: Record, session: Record, person: Record, thing: Record) -> float:
    """Attraction of an item that is in stock and was not seen before.

    Records and not the whole world: a call then costs four pointers, and this one is made most often.
    """
    return sigmoid(
        rules.bias
        + rules.taste_weight * cosine(session.taste, thing.vector)
        + rules.intent_weight * cosine(session.intent, thing.vector)
        + rules.quality_weight * thing.quality
        - rules.price_weight * overprice(person, thing)
    )


@kernel
def attraction(rules: Record, session: Record, person: Record, items: Records, item: int) -> float:
    """Probability that the item is clicked once it is looked at."""
    thing = items[item]
    if not thing.available or item == session.current:
        return 0.0
    factor = rules.seen_factor if has_seen(session, item) else 1.0
    return min(1.0, factor * appeal(rules, session, person, thing))


@kernel
def click_chance(world: World, slot: int, slate: Ints) -> float:
    """Probability that something of the slate is clicked; -1 is an empty place."""
    rules, session, items = world.rules[0], world.sessions.rows[slot], world.catalogue.items
    person = world.shoppers.rows[session.shopper]
    none = 1.0
    for place in range(min(slate.size, world.examined.size)):
        if slate[place] >= 0:
            none *= 1.0 - world.examined[place] * attraction(rules, session, person, items, slate[place])
    return 1.0 - none


@kernel
def clicked_place(rules: Record, examined: Doubles, session: Record, person: Record, items: Records) -> int:
    """Draw the place, 0-based, that is clicked on the session's slate; -1 for none."""
    slate = session.slate
    for place in range(session.slate_size):
        if slate[place] >= 0:
            chance = examined[place] * attraction(rules, session, person, items, slate[place])
            if draw(session.stream, 0) < chance:
                return place
    return -1


@kernel
def cart_chance(rules: Record, session: Record, person: Record, items: Records, item: int) -> float:
    """Probability that the item goes into the cart when it is viewed or clicked now."""
    thing = items[item]
    if not thing.available or session.carted == CART or in_cart(session, item):
        return 0.0
    return sigmoid(
        rules.cart_bias
        + rules.cart_fit_weight * cosine(session.intent, thing.vector)
        - rules.cart_price_weight * overprice(person, thing)
    )


@kernel
def best_items(world: World, slot: int, best: Ints, values: Doubles) -> int:
    """Fill `best` [k] with the items of highest attraction, highest first; returns how many there are.

    The order is optimal: the cross derivative of log(1 - theta a) is -1 / (1 - theta a)^2 < 0, so by the
    rearrangement inequality the largest attraction belongs where most is looked at.
    `values` [k] is work space.
    """
    rules, session = world.rules[0], world.sessions.rows[slot]
    person = world.shoppers.rows[session.shopper]
    items, marks = world.catalogue.items, world.catalogue.marks
    _mark(session, marks, 1)
    found = 0
    for item in range(marks.size):
        thing = items[item]
        if not thing.available or item == session.current:
            continue
        value = appeal(rules, session, person, thing)
        if marks[item]:
            value *= rules.seen_factor
        if found < best.size:
            found += 1
        elif found == 0 or value <= values[found - 1]:
            continue
        at = found - 1
        while at > 0 and values[at - 1] < value:
            values[at] = values[at - 1]
            best[at] = best[at - 1]
            at -= 1
        values[at] = value
        best[at] = item
    _mark(session, marks, 0)
    return found


@kernel
def _mark(session: Record, marks: Bytes, mark: int) -> None:
    for place in range(min(session.seen_count, SEEN)):
        marks[session.seen[place]] = mark
