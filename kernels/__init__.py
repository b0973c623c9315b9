"""PPO's arithmetic as Numba kernels: arrays and scalars in, arrays out.

The kernels use no environments, files or names. They do not validate and do not raise: `ppo_np` checks all arguments
before. Each kernel works in float32 or float64, the dtype of its arrays. Sums for losses and norms are in float64.

Shape letters, the same everywhere:
    B rows of a (mini)batch      D size of an observation      I, O inputs and outputs of a layer
    K actions to choose from     A components of an action     P all parameters
    T steps of a rollout         N environments                L layers

Gradients are named `d` + variable: `dlogits` is the gradient of the loss with respect to `logits`.
"""
