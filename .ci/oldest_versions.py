"""Print the oldest versions that pyproject.toml allows, as requirements for pip."""

import tomllib
from pathlib import Path

EXTRAS = ("tables", "polars", "test")

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(one for name in EXTRAS for one in extras[name])]:
    if not requirement.startswith("pellucid["):
        print(requirement.replace(">=", "=="))
