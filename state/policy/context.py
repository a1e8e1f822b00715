"""What a learning policy sees of a candidate: a few numbers from 0 to 1, in a byte each.

It is what the blend said of the candidate, so it costs nothing to find out; and since it is bytes from the
beginning, what a policy chose by, what the log says of it and what is learned from are the same.
"""

from hashlib import blake2b
from typing import Final

from state.retrieval.weights import SOURCES

CONTEXT: Final = ("bias", "blend", "rank", *(f"source_{name}" for name in SOURCES))
"""Names of the numbers, in their order:

- bias: 1
- blend: score over the best candidate's
- rank: 1 / place among the candidates
- source_*: the source's part of the blended score, over the best candidate's score
"""
CONTEXT_SIZE: Final = len(CONTEXT)
FULL: Final = 255
"""What 1 is as a byte."""
CONTEXT_SET: Final = blake2b("\n".join(CONTEXT).encode(), digest_size=4).hexdigest()
"""8 hex digits over the names."""
