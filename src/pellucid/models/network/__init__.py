"""The estimator for people who think in layers."""
