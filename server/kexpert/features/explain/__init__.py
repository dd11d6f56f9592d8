"""Explanations of functions, macros and selections: facts from the code and the index, each with its line.

``explain`` puts an ``Explanation`` together; ``body`` and ``flow`` read one function; one module gathers each kind of
fact. No model is asked here, and nothing here writes Markdown.
"""
