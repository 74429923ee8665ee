#!/usr/bin/env python3
"""Writes src/text/printable.rs: which characters Python's `repr` shows as they are, by version of Unicode.

    tools/printable.py SOURCE... > src/text/printable.rs

A SOURCE is a Python interpreter, whose own `unicodedata` is asked, or a folder that has unicodedata2 for the Python that
runs this (`pip install --target FOLDER unicodedata2==16.0.0`). Any order; one for each version. The committed table was
made of CPython 3.10 (13.0) and 3.11 (14.0), and of unicodedata2 15.0.0, 15.1.0, 16.0.0 and 17.0.1.

A character is printable if its category is none of Cc, Cf, Cs, Co, Cn, Zl, Zp, Zs, or if it is the space: what
`str.isprintable` says. Printable characters have stayed so from version to version, which is checked here; so each needs
only the version since which it is.
"""

import os
import subprocess
import sys

ASK = """
try:
    import unicodedata2 as data
except ImportError:
    import unicodedata as data
hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
print(data.unidata_version)
print("".join("01"[code == 32 or data.category(chr(code)) not in hidden] for code in range(0x110000)))
"""


def ask(source):
    environment, program = dict(os.environ), source
    if os.path.isdir(source):
        environment["PYTHONPATH"], program = source, sys.executable
    said = subprocess.run([program, "-c", ASK], env=environment, check=True, capture_output=True, text=True).stdout
    version, bits = said.split()
    return tuple(int(part) for part in version.split(".")[:2]), bits


def main():
    sources = sorted(ask(source) for source in sys.argv[1:])
    versions = [version for version, _ in sources]
    assert versions and len(set(versions)) == len(versions), f"one source for each version: {versions}"
    since = [None] * 0x110000
    for version, bits in sources:
        for code, bit in enumerate(bits):
            if bit == "1" and since[code] is None:
                since[code] = version
            assert bit == "1" or since[code] is None, f"U+{code:04X} is no longer printable in {version}"

    ranges = []
    for code, version in enumerate(since):
        if version is None:
            continue
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == version:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, version])

    name = lambda version: "V%d_%d" % version
    print("//! Which characters Python's `repr` shows as they are. Made by `tools/printable.py`; do not edit.")
    print()
    print(f"use super::unicode::Unicode::{{self, {', '.join(name(version) for version in versions)}}};")
    print()
    print("/// First and last code point, and the version of Unicode since which they are printable; those of the oldest")
    print("/// version may be older.")
    print("#[rustfmt::skip]")
    print(f"pub(super) static PRINTABLE: [(u32, u32, Unicode); {len(ranges)}] = [")
    line = "   "
    for first, last, version in ranges:
        entry = f" (0x{first:04x}, 0x{last:04x}, {name(version)}),"
        if len(line) + len(entry) > 120:
            print(line)
            line = "   "
        line += entry
    print(line)
    print("];")


main()
