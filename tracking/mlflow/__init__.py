"""MLflow as a view of a store: the only room that imports it."""
