"""Writes the dashboards as Grafana reads them: `python -m deploy.grafana.build`."""

import argparse
import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.api import API
from deploy.grafana.freshness import FRESHNESS
from deploy.grafana.panels import Board, built
from deploy.grafana.pipeline import PIPELINE
from deploy.grafana.recommendations import RECOMMENDATIONS
from deploy.grafana.resources import RESOURCES

FOLDER: Final = Path(__file__).with_name("dashboards")
DOCS: Final = "/docs"
"""Where `docs/` is published, if nobody says; it can also be changed above each dashboard."""
BOARDS: Final = (FRESHNESS, RECOMMENDATIONS, PIPELINE, RESOURCES, API)


def text_of(board: Board, docs: str = DOCS) -> str:
    """A dashboard as the text of its JSON file."""
    return json.dumps(built(board, docs), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write every dashboard."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.grafana.build", description="Write the dashboards."
    )
    parser.add_argument("--docs", default=DOCS, metavar="URL", help=f"where docs/ is published ({DOCS})")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="for the JSON files")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        (options.to / f"{board.name}.json").write_text(text_of(board, options.docs))


if __name__ == "__main__":
    main()
