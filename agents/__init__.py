"""Agents and commands: thin wiring, in flow order.

`faust -A agents worker` finds `app` here; it is built on first use, so that importing a command
neither reads the environment nor imports the runtime.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "app":
        from agents.personalize import build_app  # noqa: PLC0415 - built on first use, see above

        app = build_app()
        globals()["app"] = app
        return app
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
