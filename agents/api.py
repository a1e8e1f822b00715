"""The commands of the HTTP API: serve it, and make keys for it."""

import contextlib
from importlib.util import find_spec
from typing import Annotated

import typer
import uvloop

from agents.options import quiet
from state.errors import SetupError
from state.event import DEFAULT_TENANT
from stream.config import load_settings
from stream.logs import set_up

API_EXAMPLES = (
    "Examples: [bold]freshslate api[/], "
    "[bold]FRESHSLATE_API_PORT=9000 FRESHSLATE_API_KEYS_FILE=keys.toml freshslate api[/]"
)
KEY_EXAMPLES = "Example: [bold]freshslate api-key shop-frontend --right events --right slates >> keys.toml[/]"


def api() -> None:
    """Serve events, slates and recommendations over HTTP until Ctrl-C (docs/http.md).

    One more client of Kafka: any number may run. Listens on this machine alone unless FRESHSLATE_API_HOST
    says otherwise, and then needs keys. Needs pip install 'freshslate[api]'.
    """
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        message = "the API needs starlette and uvicorn: pip install 'freshslate[api]'"
        raise SetupError(message)
    from stream.api.server import ApiProcess  # noqa: PLC0415 - takes a second to import

    quiet()
    settings = load_settings()
    set_up(settings)

    async def serve() -> None:
        await ApiProcess(settings).run()

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())


def api_key(
    name: Annotated[str, typer.Argument(help="Whose key: letters, digits, - and _.")],
    right: Annotated[list[str], typer.Option(help="events, slates or admin; once or more often.")],
    tenant: Annotated[str, typer.Option(help="Whose users; * for those of every tenant.")] = DEFAULT_TENANT,
) -> None:
    """Make a key: its secret on standard error, and on standard output what goes into the keys file."""
    from stream.api.keys import new_key  # noqa: PLC0415

    try:
        made = new_key(name, tenant, right)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(f"the key, shown once: {made.secret}", err=True)
    typer.echo(made.entry)
