"""How often somebody has done what is limited, whichever process was asked."""

from typing import Protocol


class Quota(Protocol):
    """One limit for everybody, each for himself."""

    def spend(self, name: str, *, now: int) -> int:
        """Take one of what `name` has left (time in milliseconds UTC); 0, or the seconds until there is one again.

        Nothing is taken where nothing is left. Raises Failure UNAVAILABLE.
        """
