"""Routes that leave their template in the scope, so that logs and metrics never need the path."""

from starlette.routing import Match, Route
from starlette.types import Scope


class TemplatedRoute(Route):
    """A Starlette route that says which one it is."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        child["route"] = self
        return match, child
