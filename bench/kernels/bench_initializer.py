"""Orthogonal initialisation against `np.linalg.qr`; the factorisation dominates both."""

from bench.kernels.cases import benchmark_of, shapes
from kernels.initializer import orthogonal

test_orthogonal = benchmark_of(
    orthogonal, shapes("8x64", "64x64", "1024x1024"),
    lambda draw, i, o: (draw.rng.standard_normal((max(i, o), min(i, o))), 2**0.5, draw(i, o)),
)  # fmt: skip
