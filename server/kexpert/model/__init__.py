"""What generates text: llama.cpp, torch or a server elsewhere, behind one Protocol."""
