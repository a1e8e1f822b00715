"""What a user is shown who asks now: the latest slate, else a popular one."""

from stream.api.answers import Kind
from stream.api.context import Context
from stream.api.problem import problem
from stream.api.store import ShownSlate
from stream.api.user import User
from stream.api.writer import RETRY_SECONDS


async def shown_to(context: Context, user: User, scenario: str) -> tuple[Kind, ShownSlate]:
    """The user's own latest slate of a scenario, or one for somebody new."""
    kept = context.store.latest(user.key, scenario)
    if kept is not None:
        return "own", kept.shown()
    return "popular", await popular_for(context, user, scenario)


async def popular_for(context: Context, user: User, scenario: str) -> ShownSlate:
    """A slate for a user of whom none is known.

    Raises:
        Problem: The process still reads what there is.
    """
    check_started(context)
    return await context.popular(user.user_id, user.tenant, scenario)


def check_started(context: Context) -> None:
    """Answer nothing that takes knowledge of all there is, before it has been read.

    Raises:
        Problem: Neither who has a slate nor what is popular is known yet.
    """
    if (reason := context.ready()) and not context.closing.is_set():
        raise problem("starting", f"{reason}: come again, or ask another process", Retry_After=RETRY_SECONDS)
