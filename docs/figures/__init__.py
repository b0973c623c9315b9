"""Scripts that draw the figures of the docs from the project's own kernels: `python -m docs.figures.draw`."""
