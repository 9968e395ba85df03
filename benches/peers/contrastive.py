"""The same training steps in PyTorch (eager, CPU) and in `lob`, with the same threads.

    python contrastive.py --lob PATH_TO_LOB --work DIR --out result.json [--rounds N]

A step is one forward pass over both views, InfoNCE, the backward pass and AdamW; drawing the batch
is left out on both sides. Layers, widths, dropout, temperature and optimiser settings are those of
`lob`'s encoders. The two take turns, `--rounds` times for each number of threads, and the figure of
a shape is the median of its rounds' medians.

PyTorch's wheel brings gigabytes of GPU libraries along, so it gets a virtual environment of its own
below --work, made when this peer first runs; LOB_TORCH_PYTHON names a Python that has it already.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HIDDEN = {
    "simple": ([256], False, 0.0),
    "medium": ([512, 512, 256], False, 0.2),
    "complex": ([1024, 512, 512, 256, 256], True, 0.3),
}
EMBEDDING, TEMPERATURE = 128, 0.07
TORCH = "torch==2.15.0"
THREADS = (1, 2)


def network(torch, name, n_inputs):
    hidden, layer_norm, dropout = HIDDEN[name]
    layers, width = [], n_inputs
    for outputs in hidden:
        layers.append(torch.nn.Linear(width, outputs))
        if layer_norm:
            layers.append(torch.nn.LayerNorm(outputs))
        layers.append(torch.nn.ReLU())
        if dropout:
            layers.append(torch.nn.Dropout(dropout))
        width = outputs
    layers.append(torch.nn.Linear(width, EMBEDDING))
    return torch.nn.Sequential(*layers).train()


def info_nce(torch, z, batch):
    normalise = torch.nn.functional.normalize
    similarities = normalise(z[:batch]) @ normalise(z[batch:]).T / TEMPERATURE
    return torch.nn.functional.cross_entropy(similarities, torch.arange(batch))


def torch_step_s(torch, shape):
    """Median seconds of a step after a warm-up."""
    name, batch, n_inputs = shape
    net = network(torch, name, n_inputs)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    windows = torch.randn(2 * batch, n_inputs)
    times = []
    for number in range(14 if batch > 64 else 34):
        begun = time.perf_counter()
        loss = info_nce(torch, net(windows), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if number >= 4:
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def torch_loss_s(torch, batch, dim):
    times = []
    for number in range(60):
        z = torch.randn(2 * batch, dim, requires_grad=True)
        begun = time.perf_counter()
        info_nce(torch, z, batch).backward()
        if number >= 10:
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def torch_round(shapes):
    """Runs in a process of its own, so that the number of threads is set before anything starts."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    out = {shape_id(shape): torch_step_s(torch, shape) for shape in shapes}
    out["info_nce_256x128"] = torch_loss_s(torch, 256, 128)
    print(json.dumps({"version": torch.__version__, "step_s": out}))


def shape_id(shape):
    return f"{shape[0]}_{shape[1]}x{shape[2]}"


def ours(lob, folder, threads):
    """Median seconds of each shape's step."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [lob, "bench", "--suite", "contrastive.model", "--device", "cpu", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode not in (0, 1):
        sys.exit(f"`lob bench` failed:\n{done.stderr}")
    document = json.loads((folder / "run.json").read_text())
    found = {}
    for scenario in document["scenarios"]:
        for measurement in scenario["measurements"]:
            parts = measurement["metric"].split(".")
            if measurement["value"] is None or parts[0] != "model":
                continue
            if parts[-1] == "step" or parts[-1].startswith("info_nce_"):
                found[parts[1]] = measurement["value"]
    return found


def torch_python(work):
    """A Python with the pinned PyTorch."""
    given = os.environ.get("LOB_TORCH_PYTHON")
    if given:
        return given
    folder = work / "torch"
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != TORCH:
        print(f"installing {TORCH} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, TORCH, "numpy==2.2.6"], check=True)
        stamp.write_text(TORCH)
    return str(python)


def theirs(python, threads, shapes):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [python, __file__, "--torch", json.dumps(shapes)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"PyTorch failed:\n{done.stderr}")
    document = json.loads(done.stdout)
    return document["version"], document["step_s"]


def as_shape(name):
    encoder, _, size = name.rpartition("_")
    if encoder not in HIDDEN:
        return None
    batch, n_inputs = size.split("x")
    return encoder, int(batch), int(n_inputs)


def measure(lob, work, rounds):
    rows, version, python = [], "", torch_python(work)
    for threads in THREADS:
        lob_s, torch_s = {}, {}
        for number in range(rounds):
            for name, seconds in ours(lob, work / f"contrastive-{threads}-{number}", threads).items():
                lob_s.setdefault(name, []).append(seconds)
            shapes = [shape for shape in map(as_shape, lob_s) if shape]
            version, found = theirs(python, threads, shapes)
            for name, seconds in found.items():
                torch_s.setdefault(name, []).append(seconds)
        for name in lob_s:
            if name in torch_s:
                mine, other = statistics.median(lob_s[name]), statistics.median(torch_s[name])
                rows.append({"name": name, "threads": threads, "lob_s": mine, "torch_s": other,
                             "ratio": mine / other})
    return version, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lob")
    parser.add_argument("--work")
    parser.add_argument("--out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        torch_round([tuple(shape) for shape in json.loads(args.torch)])
        return
    version, rows = measure(args.lob, pathlib.Path(args.work), args.rounds)
    document = {"peer": "contrastive", "unit": "s", "torch": version, "rounds": args.rounds,
                "step": "forward of two views, InfoNCE, backward, AdamW", "rows": rows}
    pathlib.Path(args.out).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print("| step (encoder_batch x window) | threads | lob, ms | PyTorch, ms | ratio |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['name']} | {row['threads']} | {row['lob_s'] * 1e3:.2f} "
              f"| {row['torch_s'] * 1e3:.2f} | {row['ratio']:.2f} |")


if __name__ == "__main__":
    main()
