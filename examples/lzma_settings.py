"""How well do these LZMA filter settings compress Python's own standard library?

Prints BYTES (what the compressed corpus takes; small is good) and SECONDS (how long it took), so
that a search may look at one of them or weigh both. Standard library only.
"""

import argparse
import lzma
import sysconfig
import time
from pathlib import Path

CORPUS_BYTES = 3_000_000
MODES = {"fast": lzma.MODE_FAST, "normal": lzma.MODE_NORMAL}
MATCH_FINDERS = {
    "hc3": lzma.MF_HC3,
    "hc4": lzma.MF_HC4,
    "bt2": lzma.MF_BT2,
    "bt3": lzma.MF_BT3,
    "bt4": lzma.MF_BT4,
}
# liblzma refuses a shorter match than its finder looks at.
SHORTEST = {"hc3": 3, "hc4": 4, "bt2": 2, "bt3": 3, "bt4": 4}


def read_corpus() -> bytes:
    """Return the same sources for every trial, in the order of their names."""
    parts, size = [], 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        parts.append(path.read_bytes())
        size += len(parts[-1])
        if size >= CORPUS_BYTES:
            break
    return b"".join(parts)[:CORPUS_BYTES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("lc", "lp", "pb", "dict_log2", "nice_len"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--match_finder", choices=MATCH_FINDERS, required=True)
    given = parser.parse_args()
    settings = {
        "id": lzma.FILTER_LZMA2,
        "lc": given.lc,
        "lp": given.lp,
        "pb": given.pb,
        "dict_size": 2**given.dict_log2,
        "nice_len": max(given.nice_len, SHORTEST[given.match_finder]),
        "mode": MODES[given.mode],
        "mf": MATCH_FINDERS[given.match_finder],
    }
    corpus = read_corpus()
    began = time.perf_counter()
    compressed = lzma.compress(corpus, format=lzma.FORMAT_RAW, filters=[settings])
    seconds = time.perf_counter() - began
    print(f"OO-Info: ratio: {len(corpus) / len(compressed):.3f}")
    print(f"BYTES: {len(compressed)}")
    print(f"SECONDS: {seconds:.4f}")


if __name__ == "__main__":
    main()
