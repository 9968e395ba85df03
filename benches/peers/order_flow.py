"""Order flow of tick bins, from the bytes of DBN files by the definition alone.

A market that `lob synth` writes, as `mbp-10` and as `mbo`, is converted, and every number of its store is
compared with what this script computes from the same file; a difference ends the run with an error. Run by
`cargo xtask peers order_flow`.

It reads records with `struct`, keeps a book of its own for `mbo` and cuts bins of N updates. It knows nothing
of the project but that a bin never crosses an instrument, a UTC day, a cleared book, a snapshot (flag
SNAPSHOT, whose records make no row) or a pause of more than 30 minutes.

    python order_flow.py --table FILE.dbn.zst N

writes one line a bin: the golden values of `fixtures/golden/order_flow`.
"""

import argparse
import json
import math
import shutil
import struct
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import zstandard

UNDEF = 2**63 - 1
DAY_NS = 86_400 * 10**9
GAP_NS = 1_800 * 10**9
KINDS = (("adds", "A"), ("cancels", "C"), ("modifies", "M"))
NAMES = (
    [f"ofi_{level:02}" for level in range(10)]
    + ["signed_volume", "trade_count", "signed_trade_count"]
    + [f"{side}_{name}" for name, _ in KINDS for side in ("bid", "ask")]
    + ["microprice_deviation", "queue_imbalance"]
)


def records(path):
    """Type, publisher and instrument, times, whether of a snapshot, action, side, price, size, and the rest."""
    with open(path, "rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert data[:3] == b"DBN", path
    at = 8 + struct.unpack_from("<I", data, 4)[0]
    while at < len(data):
        length, rtype, publisher, instrument, ts_event = struct.unpack_from("<BBHIQ", data, at)
        if rtype == 0x0A:
            price, size, action, side, flags, _, ts_recv = struct.unpack_from("<qIccBBQ", data, at + 16)
            rest = [struct.unpack_from("<qqIIII", data, at + 48 + 32 * level) for level in range(10)]
        elif rtype == 0xA0:
            rest, price, size, flags, _, action, side, ts_recv = struct.unpack_from("<QqIBBccQ", data, at + 16)
        else:
            raise ValueError(f"record type {rtype:#x}")
        shown = flags & 0x20 != 0, action.decode(), side.decode(), price, size, rest
        yield rtype, (publisher, instrument), ts_event, ts_recv, *shown
        at += 4 * length


class Book:
    """Orders by id; levels are summed up from them whenever they are asked for."""

    def __init__(self):
        self.orders = {}

    def apply(self, action, side, order_id, price, size):
        if action == "R":
            self.orders.clear()
        elif action == "A" or (action == "M" and order_id not in self.orders):
            self.orders[order_id] = [side, price, size]
        elif action == "M":
            self.orders[order_id] = [side, price, size]
        elif action == "C" and order_id in self.orders:
            self.orders[order_id][2] -= size
            if self.orders[order_id][2] <= 0:
                del self.orders[order_id]

    def levels(self):
        sides = {"B": defaultdict(lambda: [0, 0]), "A": defaultdict(lambda: [0, 0])}
        for side, price, size in self.orders.values():
            sides[side][price][0] += size
            sides[side][price][1] += 1
        bids, asks = sorted(sides["B"].items(), reverse=True)[:10], sorted(sides["A"].items())[:10]
        bids += [(UNDEF, (0, 0))] * (10 - len(bids))
        asks += [(UNDEF, (0, 0))] * (10 - len(asks))
        return [(bp, ap, b[0], a[0], b[1], a[1]) for (bp, b), (ap, a) in zip(bids, asks)]


def updates(path):
    """Each book update: instrument, times, action, side, size, levels, and the events since the last one."""
    books, before, quiet = defaultdict(Book), {}, defaultdict(Counter)
    for rtype, key, ts_event, ts_recv, snapshot, action, side, price, size, rest in records(path):
        times = key, ts_event, ts_recv, snapshot
        if rtype == 0x0A:
            yield *times, action, side, size, rest, Counter()
            continue
        books[key].apply(action, side, rest, price, size)
        levels = books[key].levels()
        if action == "R" or snapshot:
            quiet[key].clear()
        if action == "R" or (action == "T" and size > 0) or levels != before.get(key, Book().levels()):
            yield *times, action, side, size, levels, quiet.pop(key, Counter())
        elif not snapshot:
            quiet[key][action, side] += 1
        before[key] = levels


def came(was, now, better):
    """Size that came less size that went on one side of a level; prices and sizes before and after."""
    old, new = (0 if px == UNDEF else size for px, size in (was, now))
    worst = -math.inf if better > 0 else math.inf
    p, q = (worst if px == UNDEF else px for px, _ in (was, now))
    return (new if (q - p) * better >= 0 or q == p else 0) - (old if (q - p) * better <= 0 or q == p else 0)


class Bin:
    def __init__(self):
        self.n, self.ofi, self.counts = 0, [0] * 10, Counter()
        self.volume = self.trades = self.signed = 0

    def add(self, action, side, size, levels, before, quiet):
        self.n += 1
        self.levels = levels
        for level, (now, was) in enumerate(zip(levels, before or levels)):
            if before:
                bids = came((was[0], was[2]), (now[0], now[2]), 1)
                self.ofi[level] += bids - came((was[1], was[3]), (now[1], now[3]), -1)
        if action == "T" and size > 0:
            sign = {"B": 1, "A": -1, "N": 0}[side]
            self.trades, self.signed, self.volume = self.trades + 1, self.signed + sign, self.volume + sign * size
        self.counts.update(quiet)
        self.counts[action, side] += 1

    def cells(self, step):
        cells = [*self.ofi, self.volume, self.trades, self.signed]
        for _, letter in KINDS:
            known = self.counts[letter, "N"] == 0
            cells += [self.counts[letter, side] if known else None for side in "BA"]
        bid, ask, bid_size, ask_size = self.levels[0][:4]
        if UNDEF in (bid, ask) or bid_size + ask_size == 0:
            return cells + [None, None]
        more, both = bid_size - ask_size, bid_size + ask_size
        return cells + [(ask - bid) // step * more / (2 * both), more / both]


def bins(path, n):
    """Instrument, time of the last update, bin; in order of instruments."""
    tracks = defaultdict(list)
    for update in updates(path):
        tracks[update[0]].append(update)
    for key in sorted(tracks):
        prices = [px for update in tracks[key] for level in update[7] for px in level[:2] if px != UNDEF]
        step, last, before, current = math.gcd(*prices), None, None, None
        for _, ts_event, ts_recv, snapshot, action, side, size, levels, quiet in tracks[key]:
            is_new = last is None or ts_recv // DAY_NS != last // DAY_NS or ts_recv - last > GAP_NS
            if is_new or snapshot or action == "R":
                if current:
                    yield key[1], ts, step, current
                before = current = None
            if snapshot:
                last = None
                continue
            current = current or Bin()
            current.add(action, side, size, levels, before, quiet)
            last, before, ts = ts_recv, levels, ts_event
            if current.n == n:
                yield key[1], ts, step, current
                current = None
        if current:
            yield key[1], ts, step, current


def rows(path, n):
    """One list a bin, as the table has it: instrument, time of the last update, updates, order flow."""
    for instrument, ts_event, step, current in bins(path, n):
        yield [instrument, ts_event, current.n, *current.cells(step)]


def stored(store):
    """The same from the files of a store."""
    import pyarrow.parquet

    names = ["ts_event", "n_updates", *NAMES]
    for path in sorted(Path(store).glob("day=*/*/*.parquet"), key=lambda path: (path.parts[-2], path.parts[-3])):
        table = pyarrow.parquet.read_table(path, columns=names, partitioning=None)
        columns = [table[name].cast("int64") if name == "ts_event" else table[name] for name in names]
        instrument = int(path.parts[-2].split("=")[1])
        for cells in zip(*(column.to_pylist() for column in columns)):
            yield [instrument, *cells]


def compare(lob, work, schema):
    """Whether the store of a market holds what this script finds in the market's file."""
    source, store = work / f"market.{schema}.dbn.zst", work / schema
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([lob, "--quiet", "synth", "--records", "20000", "--seed", "5", "--sessions", "2", "--schema", schema, "--out", source], **quiet)
    subprocess.run([lob, "--quiet", "convert", source, "--ticks-per-bin", "20", "--out", store], **quiet)
    ours, theirs = list(rows(source, 20)), list(stored(store))
    wrong = [(a, b) for a, b in zip(ours, theirs) if a != b]
    for pair in wrong[:3]:
        print(schema, *pair, sep="\n", file=sys.stderr)
    return {"schema": schema, "bins": len(theirs), "numbers": len(theirs) * len(NAMES), "equal": not wrong and len(ours) == len(theirs)}


def main():
    if sys.argv[1:2] == ["--table"]:
        print(",".join(["instrument_id", "ts_event", "n_updates", *NAMES]))
        for cells in rows(sys.argv[2], int(sys.argv[3])):
            print(",".join("" if cell is None else repr(cell) for cell in cells))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lob", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="the JSON document")
    args = parser.parse_args()
    work = args.work / "order_flow"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    found = [compare(args.lob, work, schema) for schema in ("mbp-10", "mbo")]
    shutil.rmtree(work)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"markets": found}, indent=2) + "\n")
    print("| schema | bins | numbers | equal bit for bit |")
    print("|---|---:|---:|---|")
    for market in found:
        print(f"| {market['schema']} | {market['bins']} | {market['numbers']} | {'yes' if market['equal'] else 'NO'} |")
    return 0 if all(market["equal"] for market in found) else 1


if __name__ == "__main__":
    sys.exit(main())
