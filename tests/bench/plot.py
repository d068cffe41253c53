# SPDX-License-Identifier: BSD-2-Clause
"""A plot of ratios, as SVG by hand: groups of bars."""
from __future__ import annotations

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
