"""Export models to other formats."""

from __future__ import annotations

from pathlib import Path

from pellucid.cli.files import check_can_write
from pellucid.cli.screen import Output
from pellucid.models.loading import load
from pellucid.tables import TableError


def export_file(path: Path, onnx: Path, out: Output, *, force: bool = False) -> None:
    """Run `pellucid export`: write a saved model as ONNX."""
    check_can_write(onnx, [path], force=force)
    model = load(path)
    try:
        model.to_onnx(onnx)
    except (ImportError, TypeError) as error:
        raise TableError(str(error)) from error
    out.add(model=path, exported=onnx)
    out.say(f"Wrote {onnx} ({onnx.stat().st_size / 1e6:.2f} MB).")
