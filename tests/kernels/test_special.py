"""log Gamma and its derivatives against SciPy, and against each other."""

import math

import numpy as np
import pytest
import scipy.special
from conftest import assert_close
from finite_difference import assert_gradient, numeric_gradient

from kernels.special import digamma, log_gamma, trigamma

FUNCTIONS = {
    "log_gamma": (log_gamma, scipy.special.gammaln),
    "digamma": (digamma, scipy.special.digamma),
    "trigamma": (trigamma, lambda x: scipy.special.polygamma(1, x)),
}
# Numbers near the roots, near the border of the series, and far from both.
POINTS = np.concatenate([np.linspace(1, 12, 400), np.nextafter(10, [0, 20]), np.logspace(-3, 30, 200)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_agrees_with_scipy(name):
    ours, theirs = FUNCTIONS[name]
    assert_close(np.array([ours(float(x)) for x in POINTS]), theirs(POINTS), 1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_number_of_float32_is_computed_as_in_float64(name):
    ours, theirs = FUNCTIONS[name]
    x = np.float32(2.7)
    assert ours(float(x)) == pytest.approx(theirs(float(x)), rel=1e-14)


@pytest.mark.parametrize(("function", "derivative"), [(log_gamma, digamma), (digamma, trigamma)])
def test_each_is_the_derivative_of_the_one_before(function, derivative):
    x = np.linspace(1.01, 30, 40)
    analytic = np.array([derivative(one) for one in x])
    assert_gradient(analytic, numeric_gradient(lambda: sum(map(function, x.tolist())), x))


def test_the_recurrences_and_the_factorial():
    for x in (0.25, 1.0, 3.5, 9.75, 40.0):
        assert log_gamma(x + 1) - log_gamma(x) == pytest.approx(np.log(x), abs=1e-13)
        assert digamma(x + 1) - digamma(x) == pytest.approx(1 / x, abs=1e-14)
        assert trigamma(x) - trigamma(x + 1) == pytest.approx(1 / x**2, rel=1e-14)
    assert np.exp(log_gamma(6.0)) == pytest.approx(120)


def test_where_the_series_is_least_accurate():
    """At 10 the last term is 2e-14, and what is left out 1e-15: sums up to 9 say what is right."""
    whole = range(1, 10)
    assert log_gamma(10.0) == pytest.approx(math.log(math.factorial(9)), rel=0, abs=6e-15)
    assert digamma(10.0) == pytest.approx(math.fsum(1 / k for k in whole) - np.euler_gamma, rel=0, abs=6e-15)
    assert trigamma(10.0) == pytest.approx(math.pi**2 / 6 - math.fsum(1 / k**2 for k in whole), rel=0, abs=6e-16)
