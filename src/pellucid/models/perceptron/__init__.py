"""What `MLPClassifier` and `MLPRegressor` are made of."""
