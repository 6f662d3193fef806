"""scikit-learn estimators, one a module; `pellucid` offers them by name."""
