"""Ways to run a model: llama.cpp, torch, a server; the first two in a process of their own."""
