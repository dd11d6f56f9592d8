"""kernel-doc comments for code without one: what they must name, texts from facts, and how they are written.

``draft`` puts a comment together; a model may better its texts, which is the workspace's work. No comment is invented
that the tree's own ``scripts/kernel-doc`` would warn about: ``declaration`` refuses what that program cannot read.
"""
