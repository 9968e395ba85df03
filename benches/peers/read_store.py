"""Both layouts of a store, read by column name from pyarrow, polars and DuckDB.

Each reader's numbers are compared with those of `lob convert` and with each other's; any
difference ends the run with an error. Run by `cargo xtask peers read_store`.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow.parquet

COLUMNS = {
    "bins": ["ts_event", "bid_px_00", "ask_px_09", "bid_sz_00", "ask_sz_var_03", "bid_ct_05", "price_movement", "classification_label"],
    "ticks": ["ts_event", "ts_recv", "action", "price", "size", "sequence", "bid_px_00", "ask_ct_09", "symbol", "mid_price", "price_movement", "classification_label"],
}


def facts(values: list) -> tuple[int, int, float]:
    """Number of values, of nulls, and a sum that any reader must agree on."""
    known = [value for value in values if value is not None]
    if known and isinstance(known[0], str):
        total = float(sum(sum(value.encode()) for value in known))
    elif known and isinstance(known[0], float):
        total = round(sum(known), 6)
    else:
        total = sum(known)
    return len(values), len(values) - len(known), total


def micros(values: list) -> list:
    """Nanoseconds as microseconds: DuckDB's times with a zone hold no more."""
    return [value and value // 1000 for value in values]


def read(path: str, names: list[str]) -> dict[str, dict[str, tuple]]:
    found: dict[str, dict[str, tuple]] = {}
    table = pyarrow.parquet.read_table(path, columns=names, partitioning=None)
    lists = {}
    for name in names:
        column = table[name]
        if pyarrow.types.is_timestamp(column.type):
            column = column.cast(pyarrow.int64())
            lists[name] = micros(column.to_pylist())
        else:
            lists[name] = column.to_pylist()
    found["pyarrow"] = {name: facts(values) for name, values in lists.items()}
    frame = polars.read_parquet(path, columns=names, hive_partitioning=False)
    plain = frame.select(
        polars.col(name).dt.timestamp("us") if frame[name].dtype.is_temporal() else polars.col(name) for name in names
    )
    found["polars"] = {name: facts(plain[name].to_list()) for name in names}
    shown = ", ".join(f"epoch_us({n}) AS {n}" if n.startswith("ts_") else n for n in names)
    rows = duckdb.sql(f"SELECT {shown} FROM read_parquet('{path}', hive_partitioning=false)").fetchall()
    found["duckdb"] = {name: facts([row[i] for row in rows]) for i, name in enumerate(names)}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lob", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="the JSON document")
    args = parser.parse_args()
    work = args.work / "read_store"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source = work / "market.mbp-10.dbn.zst"
    subprocess.run([args.lob, "--quiet", "synth", "--records", "40000", "--seed", "5", "--out", source], check=True, stdout=subprocess.DEVNULL)
    document = []
    failed = False
    for layout, names in COLUMNS.items():
        command = [args.lob, "convert", source, "--layout", layout, "--out", work / layout, "--json", "--ticks-per-bin", "10", "--lookback", "200", "--lookforward", "200", "--offset", "20"]
        summary = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for output in summary["outputs"]:
            found = read(output["path"], names)
            same = found["pyarrow"] == found["polars"] == found["duckdb"]
            label = found["pyarrow"]["classification_label"]
            counted = label[0] == output["rows"] and label[0] - label[1] == output["samples"]
            failed |= not (same and counted)
            document.append({"layout": layout, "rows": output["rows"], "readers_agree": same, "counts_agree": counted})
            if not (same and counted):
                for name in names:
                    print(name, {reader: facts[name] for reader, facts in found.items()}, file=sys.stderr)
    shutil.rmtree(work)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"files": document}, indent=2) + "\n")
    print("| layout | files | rows | pyarrow = polars = DuckDB | counts as `lob convert` says |")
    print("|---|---:|---:|---|---|")
    for layout in COLUMNS:
        files = [file for file in document if file["layout"] == layout]
        agree = [all(file[key] for file in files) for key in ("readers_agree", "counts_agree")]
        words = ["yes" if all_same else "NO" for all_same in agree]
        print(f"| {layout} | {len(files)} | {sum(file['rows'] for file in files)} | {words[0]} | {words[1]} |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
