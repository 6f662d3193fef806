"""Several estimators that predict together."""
