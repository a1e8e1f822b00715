"""Where a request may carry its key."""

import base64

import pytest
from starlette.datastructures import Headers, QueryParams

from stream.api.credentials import secret_of

AWS = (
    "AWS4-HMAC-SHA256 Credential=fs_key/20261201/eu-west-1/personalize/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer fs_key"}, ""),
        ({"authorization": "bearer  fs_key "}, ""),
        ({"authorization": "Basic " + base64.b64encode(b"fs_key:").decode()}, ""),
        ({"authorization": AWS}, ""),
        ({"x-api-key": "fs_key"}, ""),
        ({"ocp-apim-subscription-key": "fs_key"}, ""),
        ({}, "api_secret=fs_key&measurement_id=G-1"),
    ],
)
def test_a_key_is_found_where_each_client_has_it(headers: dict[str, str], query: str) -> None:
    assert secret_of(Headers(headers), QueryParams(query)) == "fs_key"


@pytest.mark.parametrize(
    "authorization", ["", "Basic ???", "Basic /w==", "AWS4-HMAC-SHA256 nothing", "Digest fs_key", "fs_key"]
)
def test_what_is_no_key_is_none(authorization: str) -> None:
    assert secret_of(Headers({"authorization": authorization}), QueryParams("")) == ""
