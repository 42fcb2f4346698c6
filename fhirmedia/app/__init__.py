"""The composition root: everything is built here and nowhere else."""
