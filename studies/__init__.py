"""What to run: one short script a study, the grid, and the Ray Tune runner."""
