"""Both operations run on NVIDIA GPUs by Triton, which nothing here imports before it is used."""
