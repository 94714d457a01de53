"""musicbench: the benchmark of symbolic-music generators."""

from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"

# `metrics`, `baselines` and `dashboards` are names that other distributions use too.
for _name in ("metrics", "baselines", "dashboards"):
    _spec = find_spec(_name)
    _folders = list(_spec.submodule_search_locations or []) if _spec else []
    if str(Path(__file__).parent.parent / _name) not in _folders:
        raise ImportError(
            f"musicbench's package '{_name}' is hidden by another one"
            f" ({', '.join(_folders) or 'a module'}). Install musicbench in an environment of its own."
        )
