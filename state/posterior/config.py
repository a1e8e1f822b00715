"""Parameters of the posterior."""

from typing import Final

from msgspec import Struct

MOST_BUCKETS: Final = 4096
"""That wait for maturity at once: 2 KB each and scenario."""


class LearningConfig(Struct, frozen=True):
    """How feedback is waited for and forgotten; all workers need the same.

    Raises:
        ValueError: A duration that is not above 0, an hour that is no whole number of buckets, or more
            than `MOST_BUCKETS` of them.
    """

    bucket_seconds: int = 60
    """Slates of one such span of time mature together."""
    maturity_seconds: int = 1800
    """How long after its slate an exposure waits for answers. Slower ones are made up for by weight."""
    half_life_seconds: float = 7 * 86_400.0
    """What was learned so long ago weighs half."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("bucket_seconds", "maturity_seconds", "half_life_seconds"):
            if not getattr(self, name) > 0:
                message = f"{name} must be above 0, not {getattr(self, name)}"
                raise ValueError(message)
        if 3600 % self.bucket_seconds:
            message = f"an hour must be a whole number of buckets; bucket_seconds is {self.bucket_seconds}"
            raise ValueError(message)
        if self.waiting > MOST_BUCKETS:
            message = (
                f"maturity_seconds ({self.maturity_seconds}) in buckets of {self.bucket_seconds} s is "
                f"{self.waiting} buckets; at most {MOST_BUCKETS}: make bucket_seconds longer"
            )
            raise ValueError(message)

    @property
    def bucket_ms(self) -> int:
        """Length of a bucket in milliseconds."""
        return self.bucket_seconds * 1000

    @property
    def maturity_ms(self) -> int:
        """Age of maturity in milliseconds."""
        return self.maturity_seconds * 1000

    @property
    def waiting(self) -> int:
        """Most buckets that are begun and not matured."""
        return -(-self.maturity_seconds // self.bucket_seconds) + 2
