"""Ways to run a model: llama.cpp or torch in a worker process, or a server with an OpenAI-compatible API."""
