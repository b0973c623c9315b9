"""Linear layer against `np.dot` and NumPy's sums."""

from bench.kernels.cases import benchmark_of, every_shape
from kernels.linear import linear_backward_input, linear_backward_parameters, linear_forward

LAYERS = every_shape(
    "16x64x64", "4x64x1", "256x64x1", "256x64x2", "256x64x4", "4x1024x1024", of=lambda rows, width: (rows, width, width)
)

test_linear_forward = benchmark_of(
    linear_forward, LAYERS, lambda draw, b, i, o: (draw(b, i), draw(i, o), draw(o), draw(b, o))
)
test_linear_backward_parameters = benchmark_of(
    linear_backward_parameters, LAYERS, lambda draw, b, i, o: (draw(b, o), draw(b, i), draw(i, o), draw(o))
)
test_linear_backward_input = benchmark_of(
    linear_backward_input, LAYERS, lambda draw, b, i, o: (draw(b, o), draw(i, o), draw(b, i))
)
