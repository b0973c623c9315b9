"""N environments whose model is two compiled functions of a user: stepped, observed and reset in one kernel.

Shapes: N environments, S numbers of state.
"""

from kernels._jit import users_kernel


def stepping_kernels(step, observe, key):
    """The kernels `(step_envs, observe_envs)` of one model.

    Args:
        step: `step(state, action) -> (reward, terminated)`, compiled; changes the state, (S,), in place.
        observe: `observe(state, obs)`, compiled; overwrites obs.
        key: as for `users_kernel`.
    """

    def step_envs(
        actions, starts, limit, autoreset, states, lengths, obs, final_obs, rewards, terminations, truncations
    ):
        """Do one step in each environment; begin the next episode where one has ended. Returns how many have ended.

        Args:
            actions: (N, ...). starts: (N, S), the state in which the next episode of each environment begins.
            limit: steps after which an episode is truncated. autoreset: whether the next episodes begin.
            states: (N, S), modified in place. lengths: (N,), steps of the present episodes, modified in place.
            obs: (N, ...), overwritten by the present observations.
            final_obs: (N, ...), overwritten where an episode has ended, by its last observation.
            rewards, terminations, truncations: (N,), overwritten.
        """
        ended = 0
        size = obs.size // len(obs)
        last, present = final_obs.reshape(len(obs), size), obs.reshape(len(obs), size)
        for n in range(len(states)):
            reward, terminated = step(states[n], actions[n])
            lengths[n] += 1
            rewards[n] = reward
            terminations[n] = terminated
            truncations[n] = lengths[n] >= limit
            observe(states[n], obs[n])
            if autoreset and (terminations[n] or truncations[n]):
                ended += 1
                lengths[n] = 0
                # Loops, because Numba takes seconds to compile the assignment of an array to a part of another.
                for i in range(size):
                    last[n, i] = present[n, i]
                for s in range(states.shape[1]):
                    states[n, s] = starts[n, s]
                observe(states[n], obs[n])
        return ended

    def observe_envs(states, obs):
        """Overwrite obs, (N, ...), by the observations of states, (N, S)."""
        for n in range(len(states)):
            observe(states[n], obs[n])

    return users_kernel(step_envs, key), users_kernel(observe_envs, key)
