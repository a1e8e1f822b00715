"""What a user is shown who asks now: the latest slate, else a popular one."""

from stream.api.answers import Kind
from stream.api.context import Context
from stream.api.store import ShownSlate
from stream.api.user import User


async def shown_to(context: Context, user: User, scenario: str) -> tuple[Kind, ShownSlate]:
    """The user's own latest slate of a scenario, or one for somebody new."""
    kept = context.store.latest(user.key, scenario)
    if kept is not None:
        return "own", kept.shown()
    return "popular", await context.popular(user.user_id, user.tenant, scenario)
