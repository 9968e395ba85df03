"""Every indicator beside TA-Lib, or beside pandas and numpy where TA-Lib has no such function.

The same series go through `lob signals` and through the peer. After the warm-up every value must
agree within 1e-9, relative to the value or, for values near zero, to the column's median size; any
other value, or a null in one but not the other, ends the run with an error. Times are of the bare
calculation on both sides: the median of `--repeat` calls, in this process for the peers, inside
`lob signals` for us. Run by `cargo xtask peers signals`; `-- --write-golden` also writes the golden
files of the crate `lob-signals`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pandas
import talib

TOLERANCE = 1e-9
GOLDEN_ROWS = 160
INPUTS = ["price", "high", "low", "volume", "signed_volume", "bid_px", "ask_px", "bid_sz", "ask_sz", "bid_depth_sz", "ask_depth_sz"]

# Where the two differ by decision, and why; not compared, but measured and written down.
EXCLUDED = {
    "rsi of a flat price": "no gain and no loss: ours is the neutral 50, TA-Lib's is 0, which reads as a pure fall",
}


def market(rows: int, seed: int) -> dict[str, numpy.ndarray]:
    """A random walk in quarter ticks with bars and quotes around it."""
    rng = numpy.random.default_rng(seed)
    price = 4000.0 + 0.25 * numpy.cumsum(rng.integers(-2, 3, rows))
    half = 0.125 * rng.integers(1, 4, rows)
    size = lambda: rng.integers(1, 200, rows).astype(float)
    bid_sz, ask_sz = size(), size()
    return {
        "price": price,
        "high": price + 0.25 * rng.integers(0, 5, rows),
        "low": price - 0.25 * rng.integers(0, 5, rows),
        "volume": size(),
        "signed_volume": rng.integers(-100, 101, rows).astype(float),
        "bid_px": price - half,
        "ask_px": price + half,
        "bid_sz": bid_sz,
        "ask_sz": ask_sz,
        "bid_depth_sz": bid_sz + size(),
        "ask_depth_sz": ask_sz + size(),
    }


def order_flow(m: dict[str, numpy.ndarray]) -> numpy.ndarray:
    """Cont, Kukanov and Stoikov (2014), from the definition."""
    bid, ask, bid_sz, ask_sz = (m[name] for name in ("bid_px", "ask_px", "bid_sz", "ask_sz"))
    flow = numpy.full(len(bid), numpy.nan)
    flow[1:] = (
        numpy.where(bid[1:] >= bid[:-1], bid_sz[1:], 0)
        - numpy.where(bid[1:] <= bid[:-1], bid_sz[:-1], 0)
        - numpy.where(ask[1:] <= ask[:-1], ask_sz[1:], 0)
        + numpy.where(ask[1:] >= ask[:-1], ask_sz[:-1], 0)
    )
    return flow


def log_returns(price: numpy.ndarray) -> pandas.Series:
    return pandas.Series(numpy.log(price)).diff()


def vwap(m: dict[str, numpy.ndarray], period: int) -> numpy.ndarray:
    value, volume = pandas.Series(m["price"] * m["volume"]), pandas.Series(m["volume"])
    return (value.rolling(period).sum() / volume.rolling(period).sum()).to_numpy()


def kyle(m: dict[str, numpy.ndarray], period: int) -> numpy.ndarray:
    """Slope of price changes on signed volume, each window on its own, in two passes."""
    change, flow = numpy.diff(m["price"]), m["signed_volume"][1:]
    out = numpy.full(len(m["price"]), numpy.nan)
    windows = numpy.lib.stride_tricks.sliding_window_view
    x, y = windows(flow, period), windows(change, period)
    x = x - x.mean(axis=1, keepdims=True)
    out[period:] = (x * (y - y.mean(axis=1, keepdims=True))).sum(axis=1) / (x * x).sum(axis=1)
    return out


def microprice(m: dict[str, numpy.ndarray]) -> numpy.ndarray:
    return (m["bid_px"] * m["ask_sz"] + m["ask_px"] * m["bid_sz"]) / (m["bid_sz"] + m["ask_sz"])


def imbalance(bid: numpy.ndarray, ask: numpy.ndarray) -> numpy.ndarray:
    return (bid - ask) / (bid + ask)


# Indicator as `lob signals` names it, the peer, and its call: one array for each of our columns.
PEERS = [
    ("rsi:14", "TA-Lib RSI", lambda m: [talib.RSI(m["price"], 14)]),
    ("momentum:10", "TA-Lib MOM", lambda m: [talib.MOM(m["price"], 10)]),
    ("rate_of_change:10", "TA-Lib ROCP", lambda m: [talib.ROCP(m["price"], 10)]),
    ("sma:20", "TA-Lib SMA", lambda m: [talib.SMA(m["price"], 20)]),
    ("ema:20", "TA-Lib EMA", lambda m: [talib.EMA(m["price"], 20)]),
    ("macd:12:26:9", "TA-Lib EMA, EMA, EMA", lambda m: macd(m["price"])),
    ("bollinger:20:2", "pandas rolling mean, std", lambda m: bands(m["price"])),
    ("bollinger:20:2", "TA-Lib BBANDS", lambda m: list(reversed(talib.BBANDS(m["price"], 20, 2.0, 2.0)))),
    ("atr:14", "TA-Lib ATR", lambda m: [talib.ATR(m["high"], m["low"], m["price"], 14)]),
    ("volatility:20", "pandas rolling std", lambda m: [log_returns(m["price"]).rolling(20).std().to_numpy()]),
    ("volatility:20", "TA-Lib STDDEV", lambda m: [stddev(m["price"])]),
    ("ewma_volatility:0.94", "pandas ewm", lambda m: [numpy.sqrt((log_returns(m["price"]) ** 2).ewm(alpha=0.06, adjust=False).mean().to_numpy())]),
    ("vwap:20", "pandas rolling", lambda m: [vwap(m, 20)]),
    ("kyle_lambda:50", "numpy", lambda m: [kyle(m, 50)]),
    ("order_flow_imbalance", "numpy", lambda m: [order_flow(m)]),
    ("spread", "numpy", lambda m: [m["ask_px"] - m["bid_px"]]),
    ("microprice", "numpy", lambda m: [microprice(m)]),
    ("queue_imbalance", "numpy", lambda m: [imbalance(m["bid_sz"], m["ask_sz"])]),
    ("book_imbalance", "numpy", lambda m: [imbalance(m["bid_depth_sz"], m["ask_depth_sz"])]),
]


def macd(price: numpy.ndarray) -> list[numpy.ndarray]:
    """TA-Lib's MACD; its lines begin only with the signal, so the earlier ones come from its EMA."""
    line, signal, histogram = talib.MACD(price, 12, 26, 9)
    early = talib.EMA(price[14:], 12)
    early = numpy.concatenate([numpy.full(14, numpy.nan), early]) - talib.EMA(price, 26)
    line = numpy.where(numpy.isnan(line), early, line)
    return [line, signal, histogram]


def bands(price: numpy.ndarray) -> list[numpy.ndarray]:
    window = pandas.Series(price).rolling(20)
    middle, reach = window.mean().to_numpy(), 2.0 * window.std(ddof=0).to_numpy()
    return [middle - reach, middle, middle + reach]


def stddev(price: numpy.ndarray) -> numpy.ndarray:
    """TA-Lib's population deviation of the log returns, as a sample's. It takes no null."""
    returns = numpy.diff(numpy.log(price))
    return numpy.concatenate([[numpy.nan], talib.STDDEV(returns, 20, 1.0)]) * (20 / 19) ** 0.5


def write_table(path: Path, m: dict[str, numpy.ndarray], header: str = "") -> None:
    cell = lambda x: "" if numpy.isnan(x) else repr(float(x)).removesuffix(".0")
    lines = [",".join(m)] + [",".join(map(cell, row)) for row in zip(*m.values())]
    path.write_text(header + "\n".join(lines) + "\n")


def ours(lob: str, table: Path, work: Path, repeat: int) -> tuple[pandas.DataFrame, dict[str, dict]]:
    names = list(dict.fromkeys(name for name, _, _ in PEERS))
    out = work / "ours.csv"
    command = [lob, "signals", table, "--indicators", ",".join(names), "--repeat", str(repeat), "--out", out, "--json"]
    document = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return pandas.read_csv(out, float_precision="round_trip"), {entry["indicator"]: entry for entry in document["indicators"]}


def worst_error(found: numpy.ndarray, expected: numpy.ndarray) -> tuple[float, int]:
    """Largest relative error, and the number of places where only one of the two is null."""
    nulls = int((numpy.isnan(found) != numpy.isnan(expected)).sum())
    both = ~(numpy.isnan(found) | numpy.isnan(expected))
    sizes = numpy.abs(expected[both])
    floor = numpy.median(sizes) if len(sizes) else 1.0
    scale = numpy.maximum(sizes, floor if floor > 0 else 1.0)
    return float((numpy.abs(found[both] - expected[both]) / scale).max(initial=0.0)), nulls


def timed(call, m: dict[str, numpy.ndarray], repeat: int) -> tuple[list[numpy.ndarray], float]:
    result, seconds = call(m), []
    for _ in range(repeat):
        begun = time.perf_counter()
        result = call(m)
        seconds.append(time.perf_counter() - begun)
    return result, statistics.median(seconds)


def compare(lob: str, work: Path, rows: int, repeat: int, seed: int) -> list[dict]:
    m = market(rows, seed)
    table = work / "market.csv"
    write_table(table, m)
    values, times = ours(lob, table, work, repeat)
    entries = []
    for name, peer, call in PEERS:
        expected, peer_s = timed(call, m, repeat)
        columns = times[name]["columns"]
        errors = [worst_error(values[column].to_numpy(), e) for column, e in zip(columns, expected, strict=True)]
        error, nulls = max(error for error, _ in errors), sum(nulls for _, nulls in errors)
        entries.append({
            "indicator": name,
            "peer": peer,
            "worst_relative_error": error,
            "nulls_that_differ": nulls,
            "agrees": error <= TOLERANCE and nulls == 0,
            "ours_ns_per_value": times[name]["ns_per_value"],
            "peer_ns_per_value": peer_s / rows * 1e9,
            "speed_ratio": peer_s / rows * 1e9 / times[name]["ns_per_value"],
        })
    return entries


def flat_rsi(lob: str, work: Path) -> dict:
    price = {"price": numpy.full(40, 100.0)}
    table, out = work / "flat.csv", work / "flat-ours.csv"
    write_table(table, price)
    subprocess.run([lob, "signals", table, "--indicators", "rsi:14", "--out", out, "--quiet"], check=True)
    found = pandas.read_csv(out)["rsi_14"].iloc[-1]
    return {"case": "rsi of a flat price", "ours": float(found), "talib": float(talib.RSI(price["price"], 14)[-1]), "reason": EXCLUDED["rsi of a flat price"]}


def versions() -> dict[str, str]:
    return {"TA-Lib": talib.__version__, "TA-Lib C": talib.__ta_version__.decode().split(" ")[0], "pandas": pandas.__version__, "numpy": numpy.__version__}


def write_golden(folder: Path) -> None:
    """Inputs, and what the peers make of them, in two tables."""
    folder.mkdir(parents=True, exist_ok=True)
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    header = f"# Written by benches/peers/signals.py --write-golden with {made_by}\n"
    m = market(GOLDEN_ROWS, seed=11)
    write_table(folder / "inputs.csv", m, header)
    results: dict[str, numpy.ndarray] = {}
    for name, peer, call in PEERS:
        parts = {"macd": ["line", "signal", "histogram"], "bollinger": ["lower", "middle", "upper"]}.get(name.split(":")[0], [""])
        for part, column in zip(parts, call(m), strict=True):
            # The first peer of an indicator writes the golden column.
            results.setdefault("_".join(filter(None, [name.replace(":", "_"), part])), column)
    write_table(folder / "expected.csv", results, header)


def show(entries: list[dict]) -> None:
    print("| indicator | peer | worst relative error | agrees within 1e-9 | ours, ns a value | peer, ns a value | times faster |")
    print("|---|---|---:|---|---:|---:|---:|")
    for e in entries:
        agrees = "yes" if e["agrees"] else f"NO ({e['nulls_that_differ']} nulls differ)"
        print(f"| {e['indicator']} | {e['peer']} | {e['worst_relative_error']:.1e} | {agrees} | {e['ours_ns_per_value']:.2f} | {e['peer_ns_per_value']:.2f} | {e['speed_ratio']:.2f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lob", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="the JSON document")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--write-golden", action="store_true")
    args = parser.parse_args()
    work = args.work / "signals"
    work.mkdir(parents=True, exist_ok=True)
    if args.write_golden:
        write_golden(Path(__file__).resolve().parents[2] / "crates/signals/tests/golden")
    entries = compare(args.lob, work, args.rows, args.repeat, seed=3)
    # A short series once more: warm-up and seeds weigh most there.
    short = compare(args.lob, work, 300, 3, seed=4)
    flat = flat_rsi(args.lob, work)
    document = {
        "versions": versions(),
        "rows": args.rows,
        "repeat": args.repeat,
        "tolerance": TOLERANCE,
        "indicators": entries,
        "short_series": [{key: e[key] for key in ("indicator", "peer", "worst_relative_error", "nulls_that_differ", "agrees")} for e in short],
        "excluded": [flat],
    }
    args.out.write_text(json.dumps(document, indent=2) + "\n")
    show(entries)
    print(f"\nNot compared: {flat['case']}, ours {flat['ours']:g}, TA-Lib {flat['talib']:g}: {flat['reason']}.")
    wrong = [e for e in entries + short if not e["agrees"]]
    for e in wrong:
        print(f"error: {e['indicator']} differs from {e['peer']}: worst relative error {e['worst_relative_error']:.3e}, {e['nulls_that_differ']} nulls differ", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
