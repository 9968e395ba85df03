"""Ticks as Parquet: databento, polars and the dbn CLI against `lob convert`, in turn, in one run.

Every path runs in a process of its own; its CPU time and peak memory are those the kernel
accounts for it when it ends. Run by `cargo xtask peers convert`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path


def databento_to_parquet(source: str, out: str) -> None:
    import databento

    databento.DBNStore.from_file(source).to_parquet(out)


def databento_fixed(source: str, out: str) -> None:
    import databento

    store = databento.DBNStore.from_file(source)
    store.to_parquet(out, price_type="fixed", pretty_ts=False, map_symbols=False)


def polars_frame(source: str, out: str) -> None:
    import databento
    import polars

    array = databento.DBNStore.from_file(source).to_ndarray()
    columns = {
        name: array[name]
        for name in array.dtype.names
        if array.dtype[name].kind in "iu" and array.dtype[name].shape == ()
    }
    if "levels" in array.dtype.names:
        for level in range(10):
            pairs = array["levels"][:, level]
            columns |= {f"{name}_{level:02}": pairs[name] for name in pairs.dtype.names}
    polars.DataFrame(columns).write_parquet(out)


IN_PYTHON = {
    "databento to_parquet": databento_to_parquet,
    "databento to_parquet, fixed prices, no symbols": databento_fixed,
    "databento to_ndarray, polars write_parquet": polars_frame,
}


DBN_CLI_VERSION = "0.73.0"


def dbn_cli(folder: Path) -> str | None:
    """The `dbn` program: on the path, or built from the pinned crate into our private folder."""
    found = shutil.which("dbn") or shutil.which("dbn", path=str(folder / "bin"))
    if found or not shutil.which("cargo"):
        return found
    print(f"building dbn-cli {DBN_CLI_VERSION} into {folder}", file=sys.stderr)
    install = ["cargo", "install", "dbn-cli", "--version", DBN_CLI_VERSION, "--locked", "--quiet", "--root", str(folder)]
    if subprocess.run(install, stdout=subprocess.DEVNULL).returncode != 0:
        return None
    return shutil.which("dbn", path=str(folder / "bin"))


def paths(lob: str, source: str, scratch: Path, dbn: str | None) -> list[dict]:
    """The commands to measure; None where a program is not installed."""
    out = str(scratch / "out.parquet")
    store = str(scratch / "store")
    listed = [
        {"name": "lob convert --layout ticks", "command": [lob, "--quiet", "convert", source, "--layout", "ticks", "--out", store]},
        {"name": "lob convert --layout bins", "command": [lob, "--quiet", "convert", source, "--layout", "bins", "--out", store]},
    ]
    for name in IN_PYTHON:
        command = [sys.executable, __file__, "--child", name, source, out]
        listed.append({"name": name, "command": command})
    for name, flags in [("dbn CLI --parquet", []), ("dbn CLI --parquet --zstd", ["--zstd"])]:
        command = [dbn, source, "--parquet", *flags, "-o", out] if dbn else None
        listed.append({"name": name, "command": command})
    return listed


def size_of(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*.parquet"))
    return path.stat().st_size if path.exists() else 0


def measure(command: list[str], scratch: Path) -> dict:
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    start = time.monotonic()
    log = scratch / "log.txt"
    with open(log, "wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        return {"error": log.read_text(errors="replace")[-500:]}
    log.unlink()
    return {
        "wall_s": time.monotonic() - start,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        # The kernel counts in KiB; macOS in bytes.
        "peak_rss_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "out_bytes": sum(size_of(path) for path in scratch.iterdir()),
    }


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        name, source, out = sys.argv[2:]
        IN_PYTHON[name](source, out)
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lob", required=True, help="the lob binary, a release build")
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="the JSON document")
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    source = args.work / f"peers-{args.records}.mbp-10.dbn.zst"
    synth = [args.lob, "--quiet", "synth", "--records", str(args.records), "--seed", "1", "--out", str(source)]
    subprocess.run(synth, check=True, stdout=subprocess.DEVNULL)
    dbn = dbn_cli(args.work.parent)
    listed = paths(args.lob, str(source), args.work / "out", dbn)
    runs: dict[str, list[dict]] = {path["name"]: [] for path in listed}
    for _ in range(args.runs):
        for path in listed:
            if path["command"]:
                runs[path["name"]].append(measure(path["command"], args.work / "out"))
    rows = []
    for name, measured in runs.items():
        errors = [run["error"] for run in measured if "error" in run]
        if not measured or errors:
            rows.append({"name": name, "error": errors[0] if errors else "not installed"})
            continue
        row = {key: statistics.median(run[key] for run in measured) for key in measured[0]}
        row |= {"name": name, "records_per_cpu_s": args.records / row["cpu_s"], "runs": measured}
        rows.append(row)
    shutil.rmtree(args.work / "out", ignore_errors=True)
    source.unlink()
    versions = {}
    for package in ("databento", "databento-dbn", "polars", "pyarrow", "duckdb"):
        from importlib import metadata

        versions[package] = metadata.version(package)
    if dbn:
        shown = subprocess.run([dbn, "--version"], capture_output=True, text=True)
        versions["dbn-cli"] = shown.stdout.split()[-1] if shown.stdout else "unknown"
    document = {"records": args.records, "schema": "mbp-10", "versions": versions, "paths": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(document, indent=2) + "\n")
    print(f"Conversion of {args.records} MBP-10 records from .dbn.zst, median of {args.runs} runs\n")
    print("| path | records per CPU-second | peak memory, MiB | output, MiB | wall, s |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        if "error" in row:
            print(f"| {row['name']} | {row['error'].splitlines()[-1] if row['error'] else 'failed'} | | | |")
            continue
        mib = 1 << 20
        print(
            f"| {row['name']} | {row['records_per_cpu_s']:,.0f} | {row['peak_rss_bytes'] / mib:,.0f} "
            f"| {row['out_bytes'] / mib:,.1f} | {row['wall_s']:.2f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
