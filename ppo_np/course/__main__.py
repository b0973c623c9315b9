"""The course: `python -m ppo_np.course`."""
