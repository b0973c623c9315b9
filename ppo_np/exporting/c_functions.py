"""The parts of the C header that do not depend on the sizes of a network. `NAME` begins all names."""

LAYER = """
static inline void {NAME}_layer(const float *x, int inputs, const float *weight, const float *bias, int outputs,
                         int hidden, float *y) {{
    for (int o = 0; o < outputs; o++) y[o] = bias[o];
    for (int i = 0; i < inputs; i++)
        for (int o = 0; o < outputs; o++) y[o] += x[i] * weight[i * outputs + o];
    for (int o = 0; hidden && o < outputs; o++) y[o] = {activation};
}}

static inline float {NAME}_clip(float x, float low, float high) {{
    return x > high ? high : x < low ? low : x;
}}
"""

ACTIVATIONS = {"relu": "y[o] < 0.0f ? 0.0f : y[o]", "tanh": "tanhf(y[o])"}

NORMALIZE = """
for (int i = 0; i < {obs_size}; i++)
    x[i] = {NAME}_clip((obs[i] * {scale} - {NAME}_obs_mean[i] - {NAME}_obs_mean_rest[i]) * {NAME}_obs_inv_std[i],
                       -10.0f, 10.0f);
"""

SCALE = """
for (int i = 0; i < {obs_size}; i++) x[i] = obs[i] * {scale};
"""

CATEGORICAL = """
float *p = result->probabilities;
for (int c = 0, first = 0; c < {components}; first += {NAME}_sizes[c], c++) {{
    const int end = first + {NAME}_sizes[c];
    int best = -1;
    float total = 0.0f;
    for (int k = first; k < end; k++)
        if ((!mask || mask[k]) && (best < 0 || out[k] > out[best])) best = k;
    if (best < 0) best = first; /* the mask allows nothing */
    for (int k = first; k < end; k++) {{
        p[k] = !mask || mask[k] ? expf(out[k] - out[best]) : 0.0f;
        total += p[k];
    }}
    for (int k = first; k < end; k++) p[k] /= total;
    result->action[c] = {NAME}_start[c] + (best - first);
}}
"""

BERNOULLI = """
(void)mask;
for (int k = 0; k < {components}; k++) {{
    result->action[k] = out[k] > 0.0f;
    result->probabilities[k] = 1.0f / (1.0f + expf(-out[k]));
}}
"""

GAUSSIAN = """
(void)mask;
for (int k = 0; k < {components}; k++) {{
    result->means[k] = {means};
    result->log_std[k] = {log_std};
    result->action[k] = {NAME}_clip({NAME}_offset[k] + {NAME}_gain[k] * {squash}(result->means[k]),
                                    {NAME}_low[k], {NAME}_high[k]);
}}
"""

BETA = """
(void)mask;
for (int k = 0; k < {components}; k++) {{
    const float a = fmaxf(out[2 * k], 0.0f) + log1pf(expf(-fabsf(out[2 * k])));
    const float b = fmaxf(out[2 * k + 1], 0.0f) + log1pf(expf(-fabsf(out[2 * k + 1])));
    const float y = {NAME}_clip((a + 1e-37f) / (a + b + 2e-37f), 0x1p-24f, 1.0f - 0x1p-24f);
    result->alpha[k] = 1.0f + a;
    result->beta[k] = 1.0f + b;
    result->action[k] = {NAME}_clip({NAME}_offset[k] + {NAME}_gain[k] * y, {NAME}_low[k], {NAME}_high[k]);
}}
"""

HEADS = {
    "categorical": CATEGORICAL, "bernoulli": BERNOULLI, "gaussian": GAUSSIAN, "squashed": GAUSSIAN, "beta": BETA,
}  # fmt: skip

# Runs the header over many rows, to verify it.
DRIVER = """\
#include "policy.h"

void run(const float *obs, const unsigned char *mask, long rows, {NAME}_result *results) {{
    for (long row = 0; row < rows; row++)
        {NAME}_act(obs + row * {obs_size}, mask ? mask + row * {outputs} : 0, results + row);
}}
"""
