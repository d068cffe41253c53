#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The style of this project as a test. Ends with "N passed, N failed"; status 0 when none failed.

    tools/tidy.py            all checks
    tools/tidy.py NAME…      some of them
    tools/tidy.py --fast     all but clang-tidy, which takes minutes
"""
from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tidy_lib import cpp, programs, texts  # noqa: E402

CHECKS: list[Callable[[], list[str]]] = [
    texts.licence_lines, texts.line_lengths, texts.file_lengths, texts.function_lengths,
    texts.unfinished_work, cpp.await_traps, cpp.module_ladder, cpp.unused_names,
    programs.formatted, programs.shell_scripts, programs.python_style, programs.python_types,
    programs.headers_compile_alone, programs.clang_tidy,
]


def main(arguments: list[str]) -> int:
    names = {check.__name__ for check in CHECKS}
    unknown = [name for name in arguments if name not in names and name != "--fast"]
    if unknown:
        print(f"tidy: no check '{unknown[0]}'; there are: {', '.join(sorted(names))}",
              file=sys.stderr)
        return 2
    wanted = [name for name in arguments if name != "--fast"]
    failed = passed = 0
    for check in CHECKS:
        if wanted and check.__name__ not in wanted:
            continue
        if "--fast" in arguments and check is programs.clang_tidy:
            continue
        begin = time.monotonic()
        complaints = check()
        seconds = time.monotonic() - begin
        verdict = "FAILED" if complaints else "ok"
        print(f"{verdict}: {check.__name__} ({seconds:.1f} s)", flush=True)
        for line in complaints:
            print(f"  {line}")
        failed += bool(complaints)
        passed += not complaints
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
