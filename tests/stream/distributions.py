"""Distributions with entry points, installed into a folder as pip would leave them."""

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path,
    name: str,
    modules: Mapping[str, str],
    entry_points: Mapping[str, Mapping[str, str]],
) -> Path:
    """Write a distribution; put the folder on the path to have it installed.

    Args:
        folder: Where to, as `site-packages` is.
        name: Of the distribution; its version is 1.0.
        modules: Text by file name.
        entry_points: Targets by name, by group.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in modules.items():
        (folder / file).write_text(text)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, targets in entry_points.items()
        for line in (f"[{group}]", *(f"{each} = {target}" for each, target in targets.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
