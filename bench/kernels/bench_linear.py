"""Linear layer against `np.dot` and NumPy's sums."""

from bench.kernels.cases import Case, benchmark_of, every_shape
from bench.reference.linear import numpy_linear_backward_input, numpy_linear_backward_parameters, numpy_linear_forward
from kernels.linear import linear_backward_input, linear_backward_parameters, linear_forward

LAYERS = every_shape("16x64x64", "4x1024x1024", of=lambda rows, width: (rows, width, width))


@benchmark_of(LAYERS)
def test_linear_forward(draw, b, i, o):
    arrays = draw(b, i), draw(i, o), draw(o), draw(b, o)
    return Case(linear_forward, numpy_linear_forward, arrays, flop=2 * b * i * o)


@benchmark_of(LAYERS)
def test_linear_backward_parameters(draw, b, i, o):
    arrays = draw(b, o), draw(b, i), draw(i, o), draw(o)
    return Case(linear_backward_parameters, numpy_linear_backward_parameters, arrays, flop=2 * b * i * o)


@benchmark_of(LAYERS)
def test_linear_backward_input(draw, b, i, o):
    arrays = draw(b, o), draw(i, o), draw(b, i)
    return Case(linear_backward_input, numpy_linear_backward_input, arrays, flop=2 * b * i * o)
