"""A flame graph as a small SVG: who called whom, and how wide the time is that it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH, ROW, CHARACTER = 1200, 17, 6.6  # pixels
# What is narrower than this share cannot be seen; leaving it out keeps the file small.
NARROWEST = 0.003
_COLOURS = ("#e4572e", "#f18f01", "#f5b700", "#c73e1d", "#e9724c", "#ffc857")


@dataclass(slots=True)
class _Frame:
    name: str
    count: int = 0
    children: dict[str, _Frame] = field(default_factory=dict)


def flame_graph(stacks: Iterable[tuple[list[str], int]], title: str) -> str:
    """Draw stacks of frames, outermost first, with the number of samples of each.

    Returns:
        An SVG without scripts; a frame's full name and share are shown where the mouse rests.
    """
    root = _Frame("all")
    for frames, count in stacks:
        root.count += count
        node = root
        for name in frames:
            node = node.children.setdefault(name, _Frame(name))
            node.count += count
    rectangles = list(_layout(root, 0.0, 0, root.count or 1))
    depth = 1 + max(level for _, _, level, _ in rectangles)
    height = (depth + 2) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "<style>text { font: 11px monospace }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="6" y="13">{escape(title)}</text>',
    ]
    for frame, left, level, width in rectangles:
        y = height - (level + 1) * ROW
        share = f"{frame.count / (root.count or 1):.1%}"
        colour = _COLOURS[sum(map(ord, frame.name)) % len(_COLOURS)]
        parts.append(
            f"<g><title>{escape(frame.name)}: {share}</title>"
            f'<rect x="{left:.1f}" y="{y}" width="{max(width - 0.4, 0.2):.1f}" height="{ROW - 1}"'
            f' fill="{colour}"/>'
        )
        letters = int((width - 6) / CHARACTER)
        if letters > 2:
            shown = frame.name if len(frame.name) <= letters else frame.name[: letters - 1] + "…"
            parts.append(f'<text x="{left + 3:.1f}" y="{y + 12}">{escape(shown)}</text>')
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _layout(
    frame: _Frame, left: float, level: int, total: int
) -> Iterator[tuple[_Frame, float, int, float]]:
    width = WIDTH * frame.count / total
    yield frame, left, level, width
    for child in sorted(frame.children.values(), key=lambda child: child.name):
        if child.count / total >= NARROWEST:
            yield from _layout(child, left, level + 1, total)
        left += WIDTH * child.count / total
