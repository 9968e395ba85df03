"""PyTorch-style Python loaders beside `lob load`: random windows of bins, rendered with NumPy.

    python loader.py --lob PATH_TO_LOB --work DIR --out result.json [--store STORE] [--batches N]

Every peer does the same work: for each of 32 random windows it reads 500 bins (prices and sizes)
and renders the volume image, 402 x 500, contiguous, scaled by its largest value. The images are
compared with `lob render` before anything is timed.

Each peer runs in one process, and in two: behind `torch.utils.data.DataLoader` where torch is
installed, otherwise in two processes that keep their batches, which flatters them.
"""

import argparse
import importlib
import json
import multiprocessing
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
        # Once: another process may have it mapped already.
        if multiprocessing.parent_process() is None:
            table = pyarrow.parquet.read_table(path, columns=COLUMNS).combine_chunks()
            with (pyarrow.OSFile(target, "wb") as sink,
                  pyarrow.ipc.new_file(sink, table.schema) as out):
                out.write_table(table)
        self.table = pyarrow.ipc.open_file(pyarrow.memory_map(target)).read_all()

    def read(self, row):
        table = self.table.slice(row, N_BINS)
        return {name: table.column(name).to_numpy() for name in COLUMNS}


class HfDatasets:
    """The datasets library: the file converted once to its Arrow cache, rows by slice."""

    def __init__(self, path, work):
        import datasets

        datasets.disable_progress_bars()
        self.version = datasets.__version__
        cache = str(pathlib.Path(work) / "hf")
        rows = datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=cache)
        self.rows = rows.select_columns(COLUMNS).with_format("numpy")

    def read(self, row):
        return self.rows[row:row + N_BINS]


PEERS = {"ArrowMap": ArrowMap, "HfDatasets": HfDatasets,
         "PyArrowRowGroup": lambda path, work: PyArrowRowGroup(path),
         "Polars": lambda path, work: Polars(path)}


class Windows:
    """A map-style data set of random windows, made in each process on first use."""

    def __init__(self, name, path, work, step, rows):
        self.name, self.path, self.work, self.step = name, path, work, step
        self.rows, self.peer = rows, None

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        if self.peer is None:
            self.peer = PEERS[self.name](self.path, self.work)
        return window_image(self.peer.read(int(self.rows[at])), self.step)


def make_batch(windows, batch):
    """Makes one batch and leaves it where it is: handing it over would cost these peers more."""
    images = np.empty((BATCH, ROWS, N_BINS), dtype=np.float32)
    for i in range(BATCH):
        images[i] = windows[batch * BATCH + i]
    return float(images[-1, 0, 0])


def worker_loop(windows, first, step, n_batches, ready, go, done):
    make_batch(windows, first)
    ready.release()
    go.wait()
    for batch in range(first + step, n_batches, step):
        make_batch(windows, batch)
    done.release()


def measure_parallel(windows, n_batches, workers=2):
    """Samples a second with worker processes; the first batch of each warms it up."""
    warm = workers
    try:
        torch = importlib.import_module("torch.utils.data")
    except ImportError:
        torch = None
    if torch is not None:
        batches = iter(torch.DataLoader(windows, batch_size=BATCH, num_workers=workers,
                                        multiprocessing_context="spawn"))
        for _ in range(warm):
            next(batches)
        begun = time.perf_counter()
        served = sum(len(batch) for batch in batches)
        return served / (time.perf_counter() - begun), "torch DataLoader"
    spawn = multiprocessing.get_context("spawn")
    ready, go, done = spawn.Semaphore(0), spawn.Event(), spawn.Semaphore(0)
    processes = [spawn.Process(target=worker_loop, daemon=True,
                               args=(windows, first, workers, n_batches + warm, ready, go, done))
                 for first in range(workers)]
    for process in processes:
        process.start()
    for _ in processes:
        if not ready.acquire(timeout=60):
            return None, "processes that did not start"
    begun = time.perf_counter()
    go.set()
    for _ in processes:
        done.acquire()
    return n_batches * BATCH / (time.perf_counter() - begun), "two processes"


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
    parser.add_argument("--batches", type=int, default=4)
    args = parser.parse_args()
    path = args.store or make_store(args.lob, args.work)
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_metadata(path)
    step = price_step(metadata)
    rows = []
    for workers in (1, 2):
        rate = ours(args.lob, path, workers, 200)
        rows.append({"name": f"lob, {workers} workers", "version": "", "processes": workers,
                     "samples_per_s": rate, "ours_is_faster": 1.0})
    own = {1: rows[0]["samples_per_s"], 2: rows[1]["samples_per_s"]}
    random = np.random.default_rng(1)
    for name, make in PEERS.items():
        try:
            peer = make(path, args.work)
        except ImportError as missing:
            rows.append({"name": name, "version": f"not installed: {missing.name}",
                         "processes": 1, "samples_per_s": None, "ours_is_faster": None})
            continue
        check(args.lob, path, args.work, peer, step)
        rate = measure(peer, step, metadata.num_rows, args.batches)
        rows.append({"name": name, "version": peer.version, "processes": 1,
                     "samples_per_s": rate, "ours_is_faster": own[1] / rate})
        at = random.integers(0, metadata.num_rows - N_BINS + 1, (args.batches + 2) * BATCH)
        rate, how = measure_parallel(Windows(name, path, args.work, step, at), args.batches)
        rows.append({"name": f"{name}, {how}", "version": peer.version, "processes": 2,
                     "samples_per_s": rate,
                     "ours_is_faster": own[2] / rate if rate else None})
    document = {"peer": "loader", "bins": metadata.num_rows, "unit": "samples/s",
                "work": "random windows of 500 bins, volume image, batches of 32", "rows": rows}
    pathlib.Path(args.out).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print("| loader | version | processes | samples/s | ours is faster by |")
    print("|---|---|---|---|---|")
    for row in rows:
        rate, ratio = row["samples_per_s"], row["ours_is_faster"]
        rate = "not measured" if rate is None else f"{rate:,.1f}"
        ratio = "" if ratio is None else f"{ratio:,.0f} x"
        print(f"| {row['name']} | {row['version']} | {row['processes']} | {rate} | {ratio} |")


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
