"""Optuna kept in step with the store: the only room that imports it, but for study pages."""
