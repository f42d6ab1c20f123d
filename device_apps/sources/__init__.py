"""Sources of frames: cameras, streams, videos, images."""
