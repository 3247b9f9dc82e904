"""One look for every chart: the colours of Okabe & Ito, which the colour-blind tell apart.

Importing this module enables nothing: `alt.theme.enable("sparkify")` does, for a notebook or
within `with`.
"""

import textwrap

import altair as alt

# Okabe & Ito (2008), Color Universal Design; ink, muted and grid are of text and lines.
PALETTE = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "orange": "#e69f00",
    "sky": "#56b4e9",
    "purple": "#cc79a7",
    "ink": "#1d2329",
    "muted": "#5b6570",
    "grid": "#dfe3e8",
}
BLUE, VERMILLION, GREEN, ORANGE = (
    PALETTE[name] for name in ("blue", "vermillion", "green", "orange")
)
INK, MUTED, GRID = (PALETTE[name] for name in ("ink", "muted", "grid"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# Narrower labels than this do not tell one feature from another.
LABEL_WIDTH = 26


@alt.theme.register("sparkify", enable=False)
def sparkify_theme() -> alt.theme.ThemeConfig:
    """Quiet axes, no frame, legends on top, and no background, so that a page keeps its own."""
    return {
        "config": {
            "background": None,
            "font": FONT,
            "view": {"stroke": None},
            "axis": {
                "labelColor": MUTED,
                "titleColor": MUTED,
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "titlePadding": 10,
                "gridColor": GRID,
                "domainColor": GRID,
                "tickColor": GRID,
                "labelOverlap": True,
                "tickCount": 5,
            },
            "axisX": {"grid": False},
            "axisBand": {"domain": False, "ticks": False},
            "legend": {
                "orient": "top",
                "direction": "horizontal",
                "title": None,
                "labelColor": MUTED,
                "labelFontSize": 12,
                "symbolType": "circle",
                # As strong as the marks, of which the first may be a pale band.
                "symbolOpacity": 1,
            },
            "title": {"color": INK, "subtitleColor": MUTED, "anchor": "start", "fontSize": 14},
            "line": {"strokeWidth": 2},
            "text": {"color": INK, "fontSize": 12},
        }
    }


def lines_of(label: str, *, width: int = LABEL_WIDTH) -> str:
    """A label in as many lines as it needs; `LINES` makes an axis show them so."""
    return "\n".join(textwrap.wrap(label, width)) or label


def limits(form: str, *, low: str = "ci_low", high: str = "ci_high") -> list[alt.Tooltip]:
    """What is told of a 95 % interval, in D3's format `form`."""
    return [
        alt.Tooltip(f"{low}:Q", format=form, title="95 % from"),
        alt.Tooltip(f"{high}:Q", format=form, title="to"),
    ]


LINES = "split(datum.label, '\\n')"
