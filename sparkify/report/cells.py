"""What a cell of the notebook ends with: pictures that every viewer shows, and sentences."""

import textwrap
import warnings

import altair as alt
from IPython.display import Markdown, display

from sparkify.report.figures import Figure, Missing
from sparkify.report.page import drawn, own_names

# Libraries that would draw a progress bar complain that they cannot; nobody misses it.
warnings.filterwarnings("ignore", message="IProgress not found")

# Of the plot, in pixels, by the size of a figure; thirds stand side by side.
WIDTHS = {"wide": 640, "half": 480, "third": 190}
# A letter of a title is so wide, in pixels.
LETTER = 8
# A picture has no page around it whose fonts it could use.
FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"


def show(*shown: Figure | Missing) -> None:
    """Display figures as SVG, each with its title and below it how to read it; or what lacks."""
    figures = [each for each in shown if isinstance(each, Figure)]
    thirds = [each for each in figures if each.size == "third"]
    rows = [[each] for each in figures if each.size != "third"] + ([thirds] if thirds else [])
    for row in rows:
        said = "; ".join(figure.title for figure in row)
        display({"image/svg+xml": picture(row), "text/plain": said}, raw=True)
        for note in dict.fromkeys(figure.note for figure in row if figure.note):
            say(note)
    reasons = [each.reason for each in shown if isinstance(each, Missing)]
    for reason in dict.fromkeys(reasons if shown else ["Too few users to show anything of."]):
        say(f"*{reason}*")


def say(*sentences: str) -> None:
    """Display sentences, whose numbers the cell computed, as a paragraph of Markdown."""
    display(Markdown(" ".join(sentences)))


def picture(row: list[Figure]) -> str:
    """Figures side by side as SVG, on white, which is readable in a dark viewer too."""
    with alt.theme.enable("sparkify"), alt.data_transformers.enable("default", max_rows=None):
        charts = [titled(figure) for figure in row]
        whole = charts[0] if len(charts) == 1 else alt.hconcat(*charts, spacing=30)
        spec = whole.properties(background="white", padding=12).to_dict()
    spec["config"]["font"] = FONT
    return own_names(drawn(spec), row[0].key)


def titled(figure: Figure) -> alt.TopLevelMixin:
    """The chart with its size, and its title in as many lines as it needs."""
    width = WIDTHS[figure.size]
    lines = textwrap.wrap(figure.title, (width + 60) // LETTER)
    title = alt.TitleParams(text=lines, anchor="start", frame="bounds", offset=14)
    return figure.chart.properties(title=title, width=width)
