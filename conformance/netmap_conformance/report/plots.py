"""Plots of the measurements, as inline SVG; they need matplotlib, the extra ``report``."""

from __future__ import annotations

import io
import math
import re
from typing import Any


def bench_plot(bench: dict[str, Any]) -> str:
    """Every measurement as a bar of the same unit's panel, with its spread; empty without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return ""
    matplotlib.use("svg")
    from matplotlib import pyplot

    units: dict[str, list[dict[str, Any]]] = {}
    for each in bench["measurements"]:
        units.setdefault(each["unit"], []).append(each)
    if not units:
        return ""
    heights = [len(m) + 1.2 for m in units.values()]
    with matplotlib.rc_context({"svg.fonttype": "none", "font.size": 9, "svg.hashsalt": "netmap-verify"}):
        figure, axes = pyplot.subplots(
            len(units), 1, figsize=(8, 0.34 * sum(heights) + 0.3), height_ratios=heights, squeeze=False
        )
        for axis, (unit, group) in zip(axes[:, 0], units.items(), strict=True):
            _panel(axis, unit, group[::-1])
        figure.tight_layout()
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    text = re.sub(r"<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :].replace("#000000", "currentColor")


def _panel(axis: Any, unit: str, group: list[dict[str, Any]]) -> None:
    """Bars on a logarithmic axis, whiskers from the lowest to the highest run."""
    places = range(len(group))
    values = [m["value"] for m in group]
    spread = [
        [m["value"] - m.get("low", m["value"]) for m in group],
        [m.get("high", m["value"]) - m["value"] for m in group],
    ]
    axis.barh(places, values, xerr=spread, height=0.6, color="#0b7285", ecolor="#868e96", capsize=2)
    axis.set_yticks(list(places), [m["id"] for m in group])
    if min(values) > 0:
        axis.set_xscale("log")
        axis.set_xlim(left=10 ** math.floor(math.log10(min(values) * 0.99)))
    axis.set_title(unit, loc="left", fontsize=9)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
