"""What a film shows."""

import subprocess

import imageio_ffmpeg
import numpy as np


def frames_of(path, height, width):
    """The frames of a film of this size, (F, height, width, 3) uint8, as ffmpeg plays it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
