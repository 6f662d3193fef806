"""Models to and from ONNX, PyTorch and scikit-learn."""
