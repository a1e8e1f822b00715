"""Bits that a query sets on items, in `Scratch.flags`."""

from typing import Final

CURRENT: Final = 1
"""The item the session is at."""
EARLIER: Final = 2
"""An earlier item of the session."""
IN_SESSION: Final = CURRENT | EARLIER
EXCLUDED: Final = 4
"""Must not come back."""
TOUCHED: Final = 8
"""Already among the candidates."""
RECALLED: Final = 16
"""An item of former sessions."""
