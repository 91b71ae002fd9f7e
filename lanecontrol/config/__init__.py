"""The lane file: YAML with every problem told at once as `file:line:col: what is wrong, what would be right`.

`load(path)` gives a `Loaded` or raises `ConfigError`. Imports pydantic and ruamel.yaml; the command line therefore
imports this package only inside the commands that need it.
"""

from lanecontrol.config.load import ClockSettings, Loaded, Log, Store, load, load_text

__all__ = ["ClockSettings", "Loaded", "Log", "Store", "load", "load_text"]
