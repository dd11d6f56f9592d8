"""Answers to questions about the kernel from numbered sources: facts about what a question names, and search.

``ask`` chooses the sources and, where facts are the answer, writes it; ``model_answer`` checks what a model writes. No
model is asked here.
"""
