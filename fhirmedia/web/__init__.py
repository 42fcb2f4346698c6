"""HTTP: the only home of FastAPI. Routes turn requests into plain values, interactions do the work."""
