"""Print the ACLs that Freshslate needs as kafka-acls commands, or apply them.

    python deploy/kafka/acls.py worker User:freshslate
    python deploy/kafka/acls.py worker User:freshslate --apply

The settings in the environment say what topics and groups are called; with --apply also where the brokers are
and as whom to connect, who must be allowed to Alter the cluster. Applying twice changes nothing.
"""

import argparse
import asyncio
import logging
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from state.errors import FreshslateError, SetupError
from stream.access import GROUP, OPERATIONS, ROLES, TOPIC, TRANSACTIONAL_ID, Need
from stream.config import load_settings
from stream.connection import Where, connection
from stream.topics import admin_client

KINDS: Final = {TOPIC: 2, GROUP: 3, TRANSACTIONAL_ID: 5}
"""Kafka's number of a resource type."""
LITERAL, PREFIXED = 3, 4
ALLOW: Final = 3
ANY_HOST: Final = "*"


def commands(needs: Sequence[Need], principal: str, servers: str) -> list[str]:
    """One kafka-acls command for each resource, with all of its operations."""
    by_resource: dict[tuple[str, str, bool], list[str]] = {}
    for need in needs:
        by_resource.setdefault((need.kind, need.name, need.is_prefix), []).append(need.operation)
    return [
        " ".join(
            [
                f"kafka-acls --bootstrap-server {servers} --add --allow-principal {shlex.quote(principal)}",
                *(f"--operation {operation}" for operation in operations),
                f"--{kind} {shlex.quote(name)}",
                *(["--resource-pattern-type prefixed"] if is_prefix else []),
            ]
        )
        for (kind, name, is_prefix), operations in by_resource.items()
    ]


async def apply(where: Where, needs: Sequence[Need], principal: str) -> None:
    """Make the ACLs.

    Raises:
        SetupError: the broker does not make one of them, or does not let us in.
    """
    async with admin_client(where) as admin:
        for need in needs:
            request = CreateAclsRequest(
                KINDS[need.kind],
                need.name,
                PREFIXED if need.is_prefix else LITERAL,
                principal,
                ANY_HOST,
                OPERATIONS[need.operation],
                ALLOW,
            )
            # The admin client has no method for this.
            answer = await admin._send_to_controller(request)
            for code, text in answer.creation_responses:
                if code:
                    message = (
                        f"the broker does not allow {need} to {principal}: {text or for_code(code).__name__}"
                    )
                    raise SetupError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("principal", help="such as User:freshslate, or User:CN=freshslate of a certificate")
    parser.add_argument("--apply", action="store_true", help="make them, instead of printing commands")
    given = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load_settings()
        needs = ROLES[given.role](settings)
        if given.apply:
            asyncio.run(apply(connection(settings), needs, given.principal))
            print(f"{given.principal} may do {len(needs)} things as {given.role}")
        else:
            print("\n".join(commands(needs, given.principal, settings.broker)))
    except FreshslateError as error:
        print(f"acls: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
