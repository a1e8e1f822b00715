"""File formats that can be replayed, one loader a file."""

from collections.abc import Mapping
from typing import Final

from stream.formats import diginetica, jsonl, online_retail, otto, taobao
from stream.formats.base import FormatError, Loader, Reject, Rejects

__all__ = ["LOADERS", "FormatError", "Loader", "Reject", "Rejects"]

LOADERS: Final[Mapping[str, Loader]] = {
    "taobao": taobao.load,
    "otto": otto.load,
    "diginetica": diginetica.load,
    "online-retail": online_retail.load,
    "jsonl": jsonl.load,
}
"""By the name that `--format` takes."""
