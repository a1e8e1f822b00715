"""Where a request may carry its key: in our own headers, or where other vendors' clients have theirs."""

import base64
import binascii
import re
from typing import Final

from starlette.datastructures import Headers, QueryParams

HEADERS: Final = ("x-api-key", "ocp-apim-subscription-key")
"""Ours, and Azure's."""
IN_QUERY: Final = "api_secret"
"""Google's, and of whoever can send no header."""
_AWS: Final = re.compile(r"AWS4-HMAC-SHA256 .*?Credential=([^/,\s]+)/", re.DOTALL)
"""The access key id of a signed request is the key; the signature is not looked at, and the secret access key
may be any text."""


def secret_of(headers: Headers, query: QueryParams) -> str:
    """The key of a request; empty where there is none.

    `Authorization: Bearer KEY`; `Basic` with the key for a user name, as Segment's; an AWS signature with the
    key as access key id; `X-Api-Key`; `Ocp-Apim-Subscription-Key`, Azure's; `?api_secret=`, Google's.
    """
    kind, _, rest = headers.get("authorization", "").partition(" ")
    match kind.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _user_name(rest.strip())
        case "aws4-hmac-sha256":
            found = _AWS.match(headers["authorization"])
            return found[1] if found else ""
    for name in HEADERS:
        if name in headers:
            return headers[name]
    return query.get(IN_QUERY, "")


def _user_name(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
