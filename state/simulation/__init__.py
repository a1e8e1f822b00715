"""A shop that does not exist: its catalogue, its shoppers, and what they do with the slates they see.

Every item is a point in a space of tastes: its category's centre, its brand's offset and its own. A shopper
likes a few categories for long and wants something now: the intent of a session, which every item looked at
pulls towards itself. Both, with quality and price, make an item's attraction (a logit: McFadden 1974). A
shopper reads a slate from the top, looks at position k with probability k^-eta and clicks the first item that
appeals, so the true click and purchase probabilities of any slate are known in closed form, and regret is a
difference and not an estimate. Who clicks nothing browses, comes back to what was seen before, or leaves.

Sessions begin as a Poisson process whose rate follows the time of day and has bursts; items arrive, sell out,
are restocked and change their price. All of it is arrays and kernels: a shopper costs tens of bytes. The
random numbers of a session are a stream of its own, so what a shopper does depends on the slates shown to
that shopper and on what is in stock, and on nothing else.

Sources: cascade and position-based examination: Craswell, Zoeter, Taylor, Ramsey (WSDM 2008); Chuklin,
Markov, de Rijke, Click Models for Web Search (2015). Logit taste: McFadden, Conditional logit analysis of
qualitative choice behavior (1974). Session lengths as a mixture of geometric ones: Potter, Parker,
Predicting the time required to conceive, Population Studies 18 (1964). Poisson processes of varying rate:
Lewis, Shedler, Simulation of nonhomogeneous Poisson processes by thinning (1979).
"""
