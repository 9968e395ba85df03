"""PyTorch-style Python loaders beside `lob load`: random windows of bins, rendered with NumPy.

    python loader.py --lob PATH_TO_LOB --work DIR --out result.json [--store STORE] [--batches N]

Every peer does the same work: for each of 32 random windows it reads 500 bins (prices and sizes)
and renders the volume image, 402 x 500, contiguous, scaled by its largest value. The images are
compared with `lob render` before anything is timed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

ROWS, N_BINS, BATCH = 402, 500, 32
SIDES = [f"{side}_{{}}_{level:02}" for side in ("bid", "ask") for level in range(10)]
PX = [name.format("px") for name in SIDES]
SIZE = [name.format("sz") for name in SIDES]
COLUMNS = ["last_bid_px", "last_ask_px", *PX, *SIZE]


def render(px, size, bid, ask):
    """The volume image of a window: px and size are 500 x 20, absent prices are masked as NaN."""
    two_sided = np.flatnonzero(~np.isnan(bid) & ~np.isnan(ask))
    last = two_sided[-1]
    centre = (bid[last] + ask[last]) / 2
    highest = np.ceil(centre) + 200
    rows = highest - px
    on_axis = (rows >= 0) & (rows < ROWS)
    depth = np.zeros((2, ROWS, N_BINS))
    for side, slots in ((0, slice(0, 10)), (1, slice(10, 20))):
        bins, slot = np.nonzero(on_axis[:, slots])
        at = rows[:, slots][bins, slot].astype(np.int64)
        np.add.at(depth[side], (at, bins), size[:, slots][bins, slot])
    bids = np.cumsum(depth[0], axis=0)
    asks = np.cumsum(depth[1][::-1], axis=0)[::-1]
    image = asks - bids
    largest = np.abs(image).max()
    if largest > 0:
        image /= largest
    return image.astype(np.float32)


def window_image(table, step):
    """The image of 500 rows given as a dict of arrays."""
    def stack(names):
        return np.stack([np.asarray(table[name], dtype=np.float64) for name in names], axis=1)

    bid = np.asarray(table["last_bid_px"], dtype=np.float64) / step
    ask = np.asarray(table["last_ask_px"], dtype=np.float64) / step
    return render(stack(PX), stack(SIZE), bid, ask)


class Polars:
    """A lazy scan of the file, one slice a sample."""

    def __init__(self, path):
        import polars

        self.version = polars.__version__
        self.scan = polars.scan_parquet(path).select(COLUMNS)

    def read(self, row):
        frame = self.scan.slice(row, N_BINS).collect()
        return {name: frame[name].to_numpy() for name in COLUMNS}


class PyArrowRowGroup:
    """The row groups that the window touches, read whole."""

    def __init__(self, path):
        import pyarrow
        import pyarrow.parquet

        self.version = pyarrow.__version__
        self.file = pyarrow.parquet.ParquetFile(path, memory_map=True)
        sizes = [self.file.metadata.row_group(i).num_rows for i in range(self.file.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])

    def read(self, row):
        first = int(np.searchsorted(self.starts, row, side="right")) - 1
        last = int(np.searchsorted(self.starts, row + N_BINS - 1, side="right")) - 1
        groups = list(range(first, last + 1))
        table = self.file.read_row_groups(groups, columns=COLUMNS, use_threads=False)
        table = table.slice(row - int(self.starts[first]), N_BINS)
        return {name: table.column(name).to_numpy() for name in COLUMNS}


class ArrowMap:
    """All bins decoded once to an uncompressed Arrow file, memory-mapped: what HF datasets does."""

    def __init__(self, path, work):
        import pyarrow
        import pyarrow.parquet

        self.version = pyarrow.__version__
        target = str(pathlib.Path(work) / "bins.arrow")
        table = pyarrow.parquet.read_table(path, columns=COLUMNS).combine_chunks()
        with pyarrow.OSFile(target, "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as out:
            out.write_table(table)
        self.table = pyarrow.ipc.open_file(pyarrow.memory_map(target)).read_all()

    def read(self, row):
        table = self.table.slice(row, N_BINS)
        return {name: table.column(name).to_numpy() for name in COLUMNS}


def measure(peer, step, n_rows, n_batches):
    """Samples a second over random windows, one batch first to warm up."""
    random = np.random.default_rng(0)
    batch = np.empty((BATCH, ROWS, N_BINS), dtype=np.float32)
    begun = None
    for number in range(n_batches + 1):
        if number == 1:
            begun = time.perf_counter()
        for image, row in zip(batch, random.integers(0, n_rows - N_BINS + 1, BATCH)):
            image[:] = window_image(peer.read(int(row)), step)
    return n_batches * BATCH / (time.perf_counter() - begun)


def ours(lob, path, workers, n_batches):
    command = [lob, "load", path, "--shuffle", "--workers", str(workers), "--json",
               "--batch-size", str(BATCH), "--batches", str(n_batches)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["samples_per_s"]


def check(lob, path, work, peer, step):
    """The peer's image of a window must be the one `lob render` writes."""
    target = pathlib.Path(work) / "check.npy"
    subprocess.run([lob, "render", path, "--index", "7", "--out", str(target)],
                   check=True, capture_output=True)
    expected = np.load(target)[0]
    found = window_image(peer.read(7), step)
    worst = float(np.abs(expected - found).max())
    if worst > 1e-6:
        sys.exit(f"the image of {type(peer).__name__} differs from ours by {worst}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lob", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--store", help="a store file; one is made if it is left out")
    parser.add_argument("--batches", type=int, default=2)
    args = parser.parse_args()
    path = args.store or make_store(args.lob, args.work)
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_metadata(path)
    step = price_step(metadata)
    rows = []
    for workers in (1, 2):
        rate = ours(args.lob, path, workers, 200)
        rows.append({"name": f"lob, {workers} workers", "version": "", "samples_per_s": rate})
    for make in (lambda: ArrowMap(path, args.work), lambda: PyArrowRowGroup(path),
                 lambda: Polars(path)):
        try:
            peer = make()
        except ImportError as missing:
            rows.append({"name": str(missing), "version": "", "samples_per_s": None})
            continue
        check(args.lob, path, args.work, peer, step)
        rate = measure(peer, step, metadata.num_rows, args.batches)
        name = type(peer).__name__
        rows.append({"name": name, "version": peer.version, "samples_per_s": rate})
    document = {"peer": "loader", "bins": metadata.num_rows, "unit": "samples/s", "rows": rows}
    pathlib.Path(args.out).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['name']:24} {row['version']:10} {row['samples_per_s'] or float('nan'):12.1f}")


def price_step(metadata):
    """The price step of the store, in units of 1e-9, from its key-value metadata."""
    for key, value in metadata.metadata.items():
        if b"loblab" in key:
            found = json.loads(value)
            if isinstance(found, dict) and "price_step" in found:
                return float(found["price_step"])
    sys.exit("no price step in the metadata: not a store file")


def make_store(lob, work):
    """Makes up a day of one instrument and converts it."""
    work = pathlib.Path(work)
    source, store = work / "peer.mbp-10.dbn.zst", work / "peer-store"
    if not source.exists():
        subprocess.run([lob, "synth", "--records", "2000000", "--out", str(source)], check=True)
    if not store.exists():
        subprocess.run([lob, "convert", str(source), "--out", str(store), "--ticks-per-bin", "20"],
                       check=True)
    return str(max(store.rglob("*.parquet"), key=lambda path: path.stat().st_size))


if __name__ == "__main__":
    main()
