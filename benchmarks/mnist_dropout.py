"""What test error does dropout reach on MNIST, and how fast, compared with PyTorch?

    python benchmarks/mnist_dropout.py [--epochs 50] [--seed 0] [--torch-epochs 2]

The network is 784-1200-1200-10 with ReLU and dropout of 0.2 on the inputs and 0.5 on the hidden
layers. It is trained with Adam, a learning rate of 0.001, a cosine schedule and batches of 128, on
pixels between 0 and 1. All settings were fixed in advance; none was chosen with the test images.
N. Srivastava et al., "Dropout", 2014, report 1.25 % for such a network. PyTorch trains the same
network with the same settings for a few epochs, and its time is scaled to all epochs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from pathlib import Path

import numpy as np

HIDDEN, BATCH_SIZE, LEARNING_RATE = 1200, 128, 1e-3
FOLDER = Path(os.environ.get("PELLUCID_DATA", "../shared/data")) / "mnist"


def load(part):
    """Return images (n, 784) between 0 and 1 as float32, and labels (n,)."""

    def read(kind, header):
        with gzip.open(FOLDER / f"{part}-{kind}-ubyte.gz") as stream:
            return np.frombuffer(stream.read(), np.uint8, offset=header)

    images = read("images-idx3", 16).reshape(-1, 784).astype(np.float32) / np.float32(255)
    return images, read("labels-idx1", 8).astype(np.int64)


def train_pellucid(X, y, epochs, seed, dtype):
    """Return the minutes of all epochs, and a function that computes the scores of rows."""
    from pellucid.engine.native import NativeTrainer, predict_scores
    from pellucid.engine.plan import TrainingData, TrainingPlan
    from pellucid.nn import SCHEDULES, Activation, Adam, Chain, Dropout, Linear

    layers = [Dropout(0.2)]
    for _ in range(2):
        layers += [Linear(HIDDEN), Activation("relu"), Dropout(0.5)]
    chain = Chain([*layers, Linear(10)], "softmax_cross_entropy")
    parameters = chain.initialize(784, seed=seed, dtype=np.float32)
    plan = TrainingPlan(
        Adam(LEARNING_RATE),
        BATCH_SIZE,
        seed=seed,
        n_epochs=epochs,
        schedule=SCHEDULES["cosine"],
        dtype=dtype,
    )
    trainer = NativeTrainer(chain, parameters, TrainingData(X, y), plan)
    start = time.perf_counter()
    for epoch in range(epochs):
        result = trainer.run_epoch()
        minutes = (time.perf_counter() - start) / 60
        print(f"  epoch {epoch + 1}: loss {result.loss:.4f}, {minutes:.1f} minutes", flush=True)
    return minutes, lambda rows: predict_scores(chain, parameters, rows)


def torch_seconds_per_epoch(X, y, epochs):
    """Return the minimum seconds per epoch of PyTorch (eager) with plain and with fused Adam."""
    import torch

    layers, fan_in = [torch.nn.Dropout(0.2)], 784
    for _ in range(2):
        layers += [torch.nn.Linear(fan_in, HIDDEN), torch.nn.ReLU(), torch.nn.Dropout(0.5)]
        fan_in = HIDDEN
    model = torch.nn.Sequential(*layers, torch.nn.Linear(fan_in, 10))
    loss = torch.nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    best = float("inf")
    for fused in (False, True):
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=fused)
        for _ in range(epochs):
            start = time.perf_counter()
            for rows in torch.randperm(len(X)).split(BATCH_SIZE):
                optimizer.zero_grad(set_to_none=True)
                loss(model(X[rows]), y[rows]).backward()
                optimizer.step()
            best = min(best, time.perf_counter() - start)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default=None, help="bfloat16, if the processor supports it")
    parser.add_argument("--torch-epochs", type=int, default=2)
    parser.add_argument("--out", default="benchmarks/results/mnist_dropout.json")
    arguments = parser.parse_args()
    X, y = load("train")
    X_test, y_test = load("t10k")
    report = {"epochs": arguments.epochs, "seed": arguments.seed, "dtype": arguments.dtype}
    if arguments.torch_epochs > 0:
        seconds = torch_seconds_per_epoch(X, y, arguments.torch_epochs)
        report["torch_minutes"] = seconds * arguments.epochs / 60
        print(f"PyTorch: {seconds:.1f} s an epoch, {report['torch_minutes']:.1f} minutes in all")
    minutes, scores = train_pellucid(X, y, arguments.epochs, arguments.seed, arguments.dtype)
    report["minutes"] = minutes
    report["test_error"] = float((scores(X_test).argmax(axis=1) != y_test).mean())
    print(f"test error {report['test_error']:.2%} after {minutes:.1f} minutes")
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"saved {path}")


if __name__ == "__main__":
    main()
