"""What a patch touches: definitions, who calls or implements them, options, maintainers.

How a diff is written is ``core.unified_diff``; where it comes from (git, a file) is ``workspace.git_diff``.
"""
