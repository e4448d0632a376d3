"""Triton computes both operations on NVIDIA GPUs; nothing here imports it before it is used."""
