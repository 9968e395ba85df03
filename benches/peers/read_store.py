"""Both layouts of a store, read whole by pyarrow, pandas, polars and DuckDB with their defaults.

Each reader is tried twice: the version pinned for all peers, and the oldest that is promised to read a
store (README). Their numbers must be those of each other and the counts those of `lob convert`; any
difference ends the run with an error. Run by `cargo xtask peers read_store`.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

COLUMNS = {
    "bins": ["ts_event", "bid_px_00", "ask_px_09", "bid_sz_00", "ask_sz_var_03", "bid_ct_05", "price_movement", "classification_label"],
    "ticks": ["ts_event", "ts_recv", "action", "price", "size", "flags", "sequence", "bid_px_00", "ask_px_09", "ask_ct_09", "symbol", "mid_price", "price_movement", "classification_label"],
}
# What the oldest of each needs besides itself; installed without anything else.
OLDEST = {
    "pyarrow": ["pyarrow==12.0.1", "numpy==1.26.4"],
    "pandas": ["pandas==1.5.3", "pyarrow==12.0.1", "numpy==1.26.4", "python-dateutil==2.9.0.post0", "pytz==2024.1", "six==1.16.0"],
    "polars": ["polars==1.0.0"],
    "duckdb": ["duckdb==0.9.1"],
}
CALLS = {
    "pyarrow": "pyarrow.parquet.read_table(STORE)",
    "pandas": "pandas.read_parquet(STORE)",
    "polars": "polars.read_parquet(STORE/**/*.parquet)",
    "duckdb": "read_parquet('STORE/**/*.parquet')",
}


def facts(values: list) -> list:
    """Number of values, of nulls, and a sum that any reader must agree on."""
    known = [value for value in values if value is not None and value == value]
    if known and isinstance(known[0], str):
        total = sum(sum(value.encode()) for value in known)
    elif known and isinstance(known[0], float):
        total = math.fsum(known)
    else:
        total = sum(int(value) for value in known)
    return [len(values), len(values) - len(known), total]


def micros(values: list) -> list:
    """Nanoseconds as microseconds: DuckDB's times with a zone hold no more."""
    return [value if value is None else value // 1000 for value in values]


def read(reader: str, store: str, names: list) -> dict:
    """What a reader sees: its version, facts of the columns named, and the instruments."""
    columns = {}
    if reader == "pyarrow":
        import pyarrow
        import pyarrow.parquet

        version = pyarrow.__version__
        table = pyarrow.parquet.read_table(store)
        if int(version.split(".")[0]) >= 15:
            pyarrow.parquet.read_table(store, page_checksum_verification=True)
        for name in names:
            column = table[name]
            is_time = pyarrow.types.is_timestamp(column.type)
            columns[name] = micros(column.cast(pyarrow.int64()).to_pylist()) if is_time else column.to_pylist()
        ids = table["instrument_id"].to_pylist()
    elif reader == "pandas":
        import pandas

        version = pandas.__version__
        frame = pandas.read_parquet(store)
        for name in names:
            column = frame[name]
            if str(column.dtype).startswith("datetime"):
                columns[name] = [None if value is pandas.NaT else value.value // 1000 for value in column]
            else:
                columns[name] = column.tolist()
        ids = frame["instrument_id"].tolist()
    elif reader == "polars":
        import polars

        version = polars.__version__
        frame = polars.read_parquet(f"{store}/**/*.parquet")
        for name in names:
            column = frame[name]
            columns[name] = (column.dt.timestamp("us") if column.dtype.is_temporal() else column).to_list()
        # Of a pattern polars reads no folder names unless it is asked to.
        frame = polars.read_parquet(f"{store}/**/*.parquet", hive_partitioning=True)
        ids = frame["instrument_id"].to_list()
    else:
        import duckdb

        version = duckdb.__version__
        shown = ", ".join(f"epoch_us({name})" if name.startswith("ts_") else name for name in names)
        rows = duckdb.sql(f"SELECT {shown} FROM read_parquet('{store}/**/*.parquet')").fetchall()
        columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
        ids = [row[0] for row in duckdb.sql(f"SELECT instrument_id FROM read_parquet('{store}/**/*.parquet')").fetchall()]
    seen = {str(id): ids.count(id) for id in sorted(set(ids))}
    return {"version": version, "columns": {name: facts(values) for name, values in columns.items()}, "rows_by_instrument": seen}


def differences(found: dict, first: dict) -> list:
    """Where two readers disagree. pandas has nullable integers as floating-point numbers."""
    wrong = [name for name, (n, nulls, total) in found["columns"].items() if [n, nulls] != first["columns"][name][:2] or not math.isclose(total, first["columns"][name][2], rel_tol=1e-12, abs_tol=1e-12)]
    return wrong + ["instrument_id"] * (found["rows_by_instrument"] != first["rows_by_instrument"])


def install(folder: Path, packages: list) -> None:
    """Puts packages into a folder of their own, once."""
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(packages):
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", folder]
        subprocess.run(pip + packages, check=True)
        stamp.write_text("\n".join(packages))


def ask(reader: str, oldest: Path | None, store: Path, layout: str) -> dict:
    """`read` in a process of its own, with the oldest version where a folder of it is given."""
    environment = dict(os.environ)
    if oldest is not None:
        environment["PYTHONPATH"] = str(oldest)
    command = [sys.executable, "-W", "ignore", __file__, "--reader", reader, "--store", store, "--layout", layout]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    if answer.returncode != 0:
        return {"error": answer.stderr.strip().splitlines()[-1:]}
    return json.loads(answer.stdout)


def convert(lob: str, source: Path, store: Path, layout: str) -> dict:
    command = [lob, "convert", source, "--layout", layout, "--out", store, "--json", "--ticks-per-bin", "10", "--lookback", "200", "--lookforward", "200", "--offset", "20"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lob")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path, help="the JSON document")
    parser.add_argument("--reader", help="answer as this reader, for the layout and store given")
    parser.add_argument("--store")
    parser.add_argument("--layout")
    args = parser.parse_args()
    if args.reader:
        print(json.dumps(read(args.reader, args.store, COLUMNS[args.layout])))
        return 0
    work = args.work / "read_store"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source = work / "market.mbp-10.dbn.zst"
    subprocess.run([args.lob, "--quiet", "synth", "--records", "40000", "--seed", "5", "--out", source], check=True, stdout=subprocess.DEVNULL)
    rows = []
    for layout in COLUMNS:
        store = work / layout
        summary = convert(args.lob, source, store, layout)
        first = None
        for reader, packages in OLDEST.items():
            for oldest in [None, args.work.parent / "oldest" / reader]:
                if oldest is not None:
                    install(oldest, packages)
                found = ask(reader, oldest, store, layout)
                first = first or found
                label = found.get("columns", {}).get("classification_label")
                wrong = found.get("error") or differences(found, first)
                counted = label is not None and label[0] == summary["rows"] and label[0] - label[1] == summary["samples"]
                rows.append({"layout": layout, "reader": reader, "version": found.get("version", packages[0]), "oldest": oldest is not None, "rows": label and label[0], "wrong": wrong, "counts_agree": counted})
    shutil.rmtree(work)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"reads": rows}, indent=2) + "\n")
    print("| layout | call | version | rows | same numbers as the others | counts as `lob convert` says |")
    print("|---|---|---|---:|---|---|")
    for row in rows:
        same = "yes" if not row["wrong"] else f"NO: {row['wrong']}"
        age = " (oldest)" if row["oldest"] else ""
        print(f"| {row['layout']} | `{CALLS[row['reader']]}` | {row['version']}{age} | {row['rows']} | {same} | {'yes' if row['counts_agree'] else 'NO'} |")
    return 1 if any(row["wrong"] or not row["counts_agree"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
