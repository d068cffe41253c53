# SPDX-License-Identifier: BSD-2-Clause
"""Plots as SVG by hand: groups of bars, and lines."""
from __future__ import annotations

import math

COLOURS = ("#3b6ea5", "#4c9f70", "#c8872f", "#8a5fa8", "#b0475a", "#6b7280")
BAR, GAP, HEIGHT, TOP, LEFT = 14, 26, 260, 60, 50


def ratios_svg(ratios: dict[str, dict[str, float]], systems: list[str]) -> str:
    """One group a job, one bar a system; 1 is the reference."""
    group = BAR * len(systems) + GAP
    width = LEFT + group * len(ratios) + GAP
    most = max([1.0, *(ratio.get(system, 0.0) for ratio in ratios.values() for system in systems)])
    scale = HEIGHT / most
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + 150}" '
             'font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{HEIGHT + 150}" fill="white"/>',
             f'<text x="{LEFT}" y="18" font-size="13">Throughput as a share of libfuse\'s '
             'passthrough over the page cache (pt-cache)</text>']
    for index, system in enumerate(systems):
        key = LEFT + index * 120
        parts += [f'<rect x="{key}" y="28" width="10" height="10" '
                  f'fill="{COLOURS[index % len(COLOURS)]}"/>',
                  f'<text x="{key + 14}" y="37">{system}</text>']
    for mark in (0.0, 0.25, 0.5, 0.75, 1.0, *(float(n) for n in range(2, int(most) + 1))):
        y = TOP + HEIGHT - mark * scale
        parts += [f'<line x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" '
                  f'stroke="{"#888" if mark == 1.0 else "#ddd"}"/>',
                  f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>']
    for number, (job, of_job) in enumerate(ratios.items()):
        x = LEFT + GAP / 2 + number * group
        for index, system in enumerate(systems):
            height = of_job.get(system, 0.0) * scale
            parts.append(f'<rect x="{x + index * BAR:.1f}" y="{TOP + HEIGHT - height:.1f}" '
                         f'width="{BAR - 2}" height="{height:.1f}" '
                         f'fill="{COLOURS[index % len(COLOURS)]}"/>')
        parts.append(f'<text transform="translate({x + group / 3:.1f},{TOP + HEIGHT + 14}) '
                     f'rotate(30)">{job}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _marks(most: float) -> list[float]:
    """From 0, round numbers, up to eight."""
    step = 10 ** math.floor(math.log10(most))
    step = next(one for one in (step / 5, step / 2, step, step * 2) if most / one <= 8)
    return [step * number for number in range(int(most / step) + 1)]


def lines_svg(title: str, x_name: str, y_name: str, lines: dict[str, list[tuple[float, float]]],
              log_x: bool = False) -> str:
    """One line a name; y from 0. `log_x`: powers of two are evenly apart."""
    width, height = 460, 240
    every = [point for line in lines.values() for point in line]
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    most = max(max(y for _, y in every), 1e-9)

    def place(x: float) -> float:
        begin, end, at = (math.log2(v) if log_x else v for v in (left, right, x))
        return LEFT + 20 + (at - begin) / ((end - begin) or 1) * (width - LEFT - 40)

    def level(y: float) -> float:
        return TOP + height - y / most * height

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 110}" '
             'font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{height + 110}" fill="white"/>',
             f'<text x="{LEFT}" y="18" font-size="13">{title} ({y_name})</text>']
    for y in _marks(most):
        parts.append(f'<line x1="{LEFT}" x2="{width}" y1="{level(y):.1f}" y2="{level(y):.1f}" '
                     f'stroke="#ddd"/><text x="{LEFT - 4}" y="{level(y) + 4:.1f}" '
                     f'text-anchor="end">{y:g}</text>')
    for x in sorted({x for x, _ in every}) if log_x else _marks(right):
        parts.append(f'<text x="{place(x):.1f}" y="{TOP + height + 16}" '
                     f'text-anchor="middle">{x:g}</text>')
    parts.append(f'<text x="{width - 10}" y="{TOP + height + 34}" '
                 f'text-anchor="end">{x_name}</text>')
    for index, (name, line) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(f"{place(x):.1f},{level(y):.1f}" for x, y in line)
        parts += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
                  f'<text x="{LEFT + index % 4 * 100}" y="{34 + index // 4 * 14}" '
                  f'fill="{colour}">{name}</text>']
    return "\n".join([*parts, "</svg>\n"])


def beside(plots: list[str]) -> str:
    """Equal ones of lines_svg, from left to right."""
    width, height = 460, 350
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * len(plots)}" '
             f'height="{height}">']
    parts += [plot.replace("<svg ", f'<svg x="{width * index}" ', 1)
              for index, plot in enumerate(plots)]
    return "\n".join([*parts, "</svg>\n"])
