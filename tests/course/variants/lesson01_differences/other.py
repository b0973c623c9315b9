import numpy as np


def numeric_gradient(f, x, h):
    gradient = np.empty_like(x)
    places = np.nditer(x, flags=["multi_index"])
    for value in places:
        at = places.multi_index
        value = float(value)
        x[at] = value + h
        slope = f(x) / (2 * h)
        x[at] = value - h
        slope -= f(x) / (2 * h)
        x[at] = value
        gradient[at] = slope
    return gradient


PLANT = {
    "x-not-restored": ("        x[at] = value\n", "        x[at] += h * 0.999\n"),
    "one-sided": (
        "        x[at] = value - h\n        slope -= f(x) / (2 * h)\n        x[at] = value\n",
        "        x[at] = value\n        slope = 2 * slope - f(x) / h\n",
    ),
}
