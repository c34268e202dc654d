#!/usr/bin/env python3
"""Turns what a terminal showed (text with ANSI colours, on standard input) into an SVG, on standard output.

    script -qec 'stty cols 112; tidings status' /dev/null | docs/picture.py '$ tidings status' > docs/src/img/status.svg
"""
import html
import re
import sys
import unicodedata

CELL, LINE, SIZE, PAD = 8.4, 19, 14, 16
COLOURS = {"30": "#6b7280", "31": "#ff7b72", "32": "#7ee787", "33": "#f2cc60", "90": "#8b949e", "8": "#8b949e",
           "1": "#ff7b72", "2": "#7ee787", "3": "#f2cc60", "9": "#ff7b72", "10": "#7ee787", "11": "#f2cc60"}


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def spans(line):
    """(text, colour, bold) of a line."""
    colour, bold, out = None, False, []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b["):
            if part:
                out.append((part, colour, bold))
            continue
        codes = part[2:-1].split(";")
        if codes[:2] == ["38", "5"]:
            colour = COLOURS.get(codes[2], colour)
            continue
        for code in codes:
            if code in ("0", ""):
                colour, bold = None, False
            elif code == "39":
                colour = None
            elif code == "22":
                bold = False
            elif code == "1":
                bold = True
            elif code in COLOURS:
                colour = COLOURS[code]
    return out


text = sys.stdin.read().replace("\r", "")
text = re.sub(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]", "", text)
lines = ([sys.argv[1]] if len(sys.argv) > 1 else []) + text.rstrip("\n").split("\n")
columns = max(width("".join(t for t, _, _ in spans(line))) for line in lines)
w, h = round(columns * CELL + 2 * PAD), len(lines) * LINE + 2 * PAD
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">')
print(f'<rect width="{w}" height="{h}" rx="8" fill="#0d1117"/>')
print(f'<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{SIZE}" '
      'fill="#e6edf3" xml:space="preserve">')
for row, line in enumerate(lines):
    at, y = 0, PAD + row * LINE + SIZE
    for piece, colour, bold in spans(line):
        # Each run of cells stands at its own column, so that a font's widths do not add up.
        for run in re.finditer(r"\S+(?: \S+)*", piece):
            x = PAD + (at + width(piece[:run.start()])) * CELL
            look = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if bold else "")
            length = width(run.group()) * CELL
            print(f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"{look}>'
                  f"{html.escape(run.group())}</text>")
        at += width(piece)
print("</g>\n</svg>")
