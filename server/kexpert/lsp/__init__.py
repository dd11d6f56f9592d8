"""The Language Server Protocol: from its messages to the workspace's questions and back, nothing else."""
