"""Draws medians as a bar chart: SVG as text, readable on light and dark pages."""
import html

COLOURS = {"kernel": "#9aa5b1", "user": "#d9480f"}
ROW, LABEL, WIDTH, GAP = 18, 96, 640, 26


def draw(groups):
    """groups: [(title, [(server, kernel µs, user µs)])], one scale for each group."""
    lines, y = [], 24
    for title, bars in groups:
        longest = max(kernel + user for _, kernel, user in bars)
        scale = (WIDTH - LABEL - 90) / longest
        lines.append(f'<text x="0" y="{y}" font-weight="bold">{html.escape(title)}</text>')
        for server, kernel, user in bars:
            y += ROW
            x = LABEL
            weight = ' font-weight="bold"' if server == "rhumb" else ""
            lines.append(f'<text x="{LABEL - 6}" y="{y + 10}" text-anchor="end"{weight}>{server}</text>')
            for kind, value in (("kernel", kernel), ("user", user)):
                width = round(value * scale, 1)
                lines.append(f'<rect x="{x}" y="{y}" width="{width}" height="{ROW - 5}" fill="{COLOURS[kind]}"/>')
                x = round(x + width, 1)
            lines.append(f'<text x="{x + 5}" y="{y + 10}">{kernel + user:.2f} µs</text>')
        y += ROW + GAP
    legend = "".join(f'<rect x="{LABEL + 210 * i}" y="{y - 12}" width="12" height="12" fill="{COLOURS[kind]}"/>'
                     f'<text x="{LABEL + 18 + 210 * i}" y="{y - 2}">{text}</text>'
                     for i, (kind, text) in enumerate((("kernel", "the kernel, for a query"), ("user", "the server's own work"))))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" width="{WIDTH}" '
            f'font-family="system-ui, sans-serif" font-size="12">\n<style>text {{ fill: #555 }} '
            '@media (prefers-color-scheme: dark) { text { fill: #ccc } }</style>\n'
            + "\n".join(lines) + f"\n{legend}\n</svg>\n")
